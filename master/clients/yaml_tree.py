"""YAML bytes to plain lists, dicts and texts, with the line of every value; hostile input is refused.

Every scalar stays a text: YAML 1.1 would read ``20:30`` as 1230, ``no`` as false and ``3,20`` as a text
but ``3.20`` as 3.2. Anchors, tags and deep nesting have no use in a brief and are refused before
anything is built.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import yaml

from master.clients.hostile import find_hostile_character
from tasks.errors import InvalidInput

MAX_BYTES = 64 * 1024
MAX_DEPTH = 6

Path = tuple[str | int, ...]


@dataclasses.dataclass(frozen=True)
class Tree:
    """A document: ``value`` is made of dict, list and str (None where nothing was written)."""

    source: str
    value: Any
    lines: dict[Path, int]

    def line_of(self, path: Path) -> int:
        """Line (from 1) of the value at this path, or of the nearest one above it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_tree(data: bytes, source: str) -> Tree:
    """Parse one document. ``source`` is the file's name, for messages.

    Raises ``InvalidInput`` with the file, the line and the remedy.
    """
    text = _decode(data, source)
    hostile = find_hostile_character(text)
    if hostile:
        raise InvalidInput(
            f"{source}:{hostile.line}: {hostile.what}: retype that line in a plain text editor"
        )
    try:
        _refuse_tricks(text, source)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise InvalidInput(
            f"{source}:{line}: this is not YAML ({error.problem or error.context}): check the indentation "
            f"and the colons there, and put texts that contain ': ' or '#' between quotes"
        ) from None
    except yaml.YAMLError as error:
        raise InvalidInput(
            f"{source}: this is not YAML ({error}): compare it with examples/brief.yaml"
        ) from None
    if root is None:
        raise InvalidInput(f"{source} is empty: copy examples/brief.yaml and fill it in")
    lines: dict[Path, int] = {}
    return Tree(source=source, value=_convert(root, (), lines, source), lines=lines)


def _decode(data: bytes, source: str) -> str:
    if len(data) > MAX_BYTES:
        raise InvalidInput(
            f"{source} has {len(data):,} bytes; a brief has {MAX_BYTES:,} at most: keep to the texts that "
            f"should be on the site"
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidInput(f"{source} is encoded as UTF-16: save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidInput(
            f"{source}:{line}: the byte 0x{data[error.start]:02x} is not UTF-8: save the file as UTF-8"
        ) from None
    if not text.strip():
        raise InvalidInput(f"{source} is empty: copy examples/brief.yaml and fill it in")
    return text.replace("\r\n", "\n")


def _refuse_tricks(text: str, source: str) -> None:
    """Look at the events only: they are lazy, so depth is known before anything deep is built."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        tag = getattr(event, "tag", None)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise InvalidInput(
                f"{source}:{line}: anchors (&name) and aliases (*name) are not used in a brief: "
                f"write the text out, or between quotes"
            )
        if tag:
            raise InvalidInput(
                f"{source}:{line}: the tag {tag!r} is not used in a brief: remove it, or put "
                f"the text between quotes"
            )
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise InvalidInput(f"{source}:{line}: a second document begins here: one file is one brief")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise InvalidInput(
                f"{source}:{line}: nested {depth} levels deep; a brief needs 3: compare it with "
                f"examples/brief.yaml"
            )


def _convert(node: yaml.Node, path: Path, lines: dict[Path, int], source: str) -> Any:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return [_convert(item, (*path, index), lines, source) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise InvalidInput(
                    f"{source}:{line}: a key must be one word: compare it with examples/brief.yaml"
                )
            key = str(key_node.value)
            if key in mapping:
                raise InvalidInput(
                    f"{source}:{line}: the key {key[:40]!r} is there twice: remove one of them"
                )
            mapping[key] = _convert(value_node, (*path, key), lines, source)
            lines[(*path, key)] = line
        return mapping
    if node.value == "" and isinstance(node, yaml.ScalarNode) and node.style is None:
        return None
    return str(node.value)

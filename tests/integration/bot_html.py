"""Text as Telegram takes it: cleaned, parsed, trimmed, counted in UTF-16.

After td/telegram/misc.cpp (``clean_input_string``) and MessageEntity.cpp (``parse_html``) of
https://github.com/tdlib/td, and https://core.telegram.org/bots/api#html-style; stricter in one point:
a lone ``&`` is refused, since in a text of ours it can only be a mistake.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_KNOWN_TAGS = frozenset(
    "b strong i em u ins s strike del code pre blockquote tg-spoiler span a tg-emoji".split()
)
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_MARK = re.compile(r"<(?P<end>/?)(?P<tag>[^\s>/]*)(?P<rest>[^>]*)>|&(?P<name>[^;\s<&]{0,10});|[<&]")
#: \r, U+2028-202E, and three combining lines, which Telegram drops.
_DROPPED = re.compile("[\r\u2028-\u202e\u0333\u033f\u030a]")
_CONTROL = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f]")


class CannotParse(ValueError):
    pass


class Entity(NamedTuple):
    tag: str
    #: In UTF-16 code units of the plain text.
    offset: int
    length: int


def utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def clean_input(text: str) -> str:
    """What Telegram makes of any text before it looks at it."""
    return _CONTROL.sub(" ", _DROPPED.sub("", text))


def parse(markup: str) -> tuple[str, list[Entity]]:
    """What the reader sees, and how it is marked; ``CannotParse`` as Telegram would say it."""
    text = clean_input(markup)
    plain: list[str] = []
    entities: list[Entity] = []
    opened: list[tuple[str, int]] = []
    position = length = 0

    def add(piece: str) -> None:
        nonlocal length
        plain.append(piece)
        length += utf16_units(piece)

    for mark in _MARK.finditer(text):
        add(text[position : mark.start()])
        position = mark.end()
        if mark["name"] is not None:
            add(_character(mark["name"]))
        elif mark["tag"] is None:
            raise CannotParse(f"can't parse entities: unexpected {mark.group()!r} at {mark.start()}")
        elif mark["end"]:
            tag, offset = opened.pop() if opened else ("", 0)
            if mark["tag"].lower() != tag:
                raise CannotParse(f"can't parse entities: unexpected end tag {mark.group()!r}")
            entities.append(Entity(tag, offset, length - offset))
        elif mark["tag"].lower() in _KNOWN_TAGS:
            opened.append((mark["tag"].lower(), length))
        else:
            raise CannotParse(f'can\'t parse entities: unsupported start tag "{mark["tag"]}"')
    add(text[position:])
    if opened:
        raise CannotParse(f"can't parse entities: can't find end tag corresponding to \"{opened[-1][0]}\"")
    return _trim("".join(plain), entities)


def _character(name: str) -> str:
    if name in _NAMED:
        return _NAMED[name]
    number = re.fullmatch(r"#(x[0-9a-fA-F]+|[0-9]+)", name)
    code = int(number[1].replace("x", ""), 16 if "x" in number[1] else 10) if number else 0
    if not 0 < code < 0x110000:
        raise CannotParse(f"can't parse entities: a lone & before {name!r}")
    return chr(code)


def _trim(plain: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """White space around a message is lost, and marks move with it."""
    cut = utf16_units(plain) - utf16_units(plain.lstrip())
    trimmed = plain.strip()
    end = utf16_units(trimmed)
    moved = []
    for entity in entities:
        begin = max(0, entity.offset - cut)
        moved.append(Entity(entity.tag, begin, min(entity.offset - cut + entity.length, end) - begin))
    return trimmed, [entity for entity in moved if entity.length > 0]

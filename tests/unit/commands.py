"""The tree of the ``d8`` command, to look up what a text says about it."""

from __future__ import annotations

import functools
import importlib
import re
import shlex
from collections.abc import Iterator
from typing import Any

import typer

from master.cli.main import COMMANDS, GROUPS

#: Options that every command has.
COMMON = frozenset({"--help", "-h"})


def commands_in(text: str) -> Iterator[str]:
    """Every ``d8 ...`` of a line, as far as it goes."""
    text = re.sub(r"(^|\s)#.*", "", text)
    for found in re.finditer(r"(?:^|(?<=[\s(]))(?:scripts/|\.venv/bin/)?d8 ([^`#|&;<)]+)", text):
        # A user, a name or a path may be called d8, too; a command is followed by a word of ours.
        if found[1].split()[0] in {*GROUPS, *COMMANDS} or found[0].startswith("d8 "):
            yield f"d8 {found[1].strip()}"


def complaint_about(line: str) -> str:
    """What is wrong with a command as a text names it; "" if nothing is.

    Words in capitals stand for something, and ``...`` for anything more.
    """
    words = shlex.split(line.replace("...", " ").replace("'", " "))[1:]
    words = [word.strip(",.:") for word in words]
    if not words or words[0].isupper():
        return ""
    node: Any = tree()
    while words and hasattr(node, "commands"):
        if words[0].startswith("-") or words[0].isupper():
            break
        if words[0] not in node.commands:
            return f"there is no {words[0]!r}"
        node = node.commands[words.pop(0)]
    options = COMMON.union(*(param.opts + param.secondary_opts for param in getattr(node, "params", [])))
    unknown = [word for word in words if word.startswith("-") and word.partition("=")[0] not in options]
    return f"it has no {', '.join(unknown)}" if unknown else ""


def all_options() -> frozenset[str]:
    """Of all commands."""
    commands = [tree(), *tree().commands.values()]
    leaves = [leaf for command in commands for leaf in getattr(command, "commands", {"": command}).values()]
    params = [param for leaf in leaves for param in getattr(leaf, "params", [])]
    return COMMON.union(*(param.opts + param.secondary_opts for param in params))


@functools.cache
def tree() -> Any:
    """All of it, loaded: ``d8`` itself loads what it needs."""
    groups = {
        name: typer.main.get_group(importlib.import_module(f"master.cli.{name}").app) for name in GROUPS
    }
    singles = {
        name: typer.main.get_group(importlib.import_module(module).app).commands[name]
        for name, (module, _) in COMMANDS.items()
    }
    return Branch({**groups, **singles})


class Branch:
    """A group as Typer has it, as far as it is used here."""

    def __init__(self, commands: dict[str, Any]) -> None:
        self.commands = commands
        self.params: list[Any] = []

"""A remedy that names a command names one that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from master.cli.main import COMMANDS, GROUPS
from tests.unit.commands import tree

ROOT = Path(__file__).resolve().parent.parent.parent
_QUOTED = re.compile(r"'d8 ([a-z]+)(?: ([a-z]+))?")


def _named() -> set[tuple[str, str]]:
    texts = [
        path.read_text(encoding="utf-8")
        for folder in ("master", "worker", "tasks")
        for path in (ROOT / folder).rglob("*.py")
    ]
    return {(group, command or "") for text in texts for group, command in _QUOTED.findall(text)}


@pytest.mark.parametrize(("group", "command"), sorted(_named()))
def test_every_command_that_a_message_names_exists(group: str, command: str) -> None:
    assert group in GROUPS or group in COMMANDS
    if group in GROUPS and command:
        assert command in tree().commands[group].commands

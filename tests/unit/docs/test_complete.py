"""Every setting, command, option and task is in the documentation, and nothing is that is not there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

# Typer carries its own copy of Click.
from typer._click import Command, Context

from master.cli.main import app
from master.settings import Settings
from tasks.catalog import TASKS
from tests.support import ROOT
from worker.settings import WorkerSettings

#: Said by one part of ours to another, and by nobody else.
_INTERNAL = {"D8_KEPT", "D8_TRIAL_FROM", "D8_UPDATE_ERROR", "D8_COMPLETE"}


def read(*names: str) -> str:
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)


def all_docs() -> str:
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return "\n".join(path.read_text(encoding="utf-8") for path in found)


def settings_of_records() -> set[str]:
    records: tuple[Any, ...] = (Settings, WorkerSettings)
    return {f"D8_{name.upper()}" for record in records for name in record.model_fields}


def settings_in_code() -> set[str]:
    """Names that the product's code reads from the environment by itself."""
    read_there = re.compile(
        r"""(?:environ(?:\.get\(|\[)|getenv\(|_VARIABLE(?:: \w+)? = )\s*["'](D8_[A-Z_]+)["']"""
    )
    paths = [ROOT / "celeryconfig.py"]
    for folder in ("tasks", "master", "worker"):
        paths += sorted((ROOT / folder).rglob("*.py"))
    return {name for path in paths for name in read_there.findall(path.read_text(encoding="utf-8"))}


def commands() -> Iterator[tuple[str, Command]]:
    """``d8 run list`` and all others, as their help has them."""

    def walk(command: Command, words: list[str], context: Context) -> Iterator[tuple[str, Command]]:
        names = getattr(command, "list_commands", None)
        if names is None:
            yield " ".join(words), command
            return
        for name in names(context):
            below = command.get_command(context, name)  # type: ignore[attr-defined]
            assert below is not None
            yield from walk(below, [*words, name], Context(below, info_name=name, parent=context))

    root = typer.main.get_command(app)
    yield from walk(root, ["d8"], Context(root, info_name="d8"))


def options_of(command: Command) -> list[Any]:
    return [
        each
        for each in command.params
        if each.param_type_name == "option" and not getattr(each, "hidden", False)
    ]


def rows() -> dict[str, str]:
    """The reference's rows by command."""
    text = read("docs/command-line.md").partition("## Every command")[2].partition("\n## ")[0]
    found = re.findall(r"^\| `(d8 [a-z -]+?)((?: [A-Z\[].*?)?)` \|(.*)$", text, re.MULTILINE)
    return {name: row for name, _, row in found}


def suggested_row(name: str, command: Command) -> str:
    words = [each.name.upper() if each.required else f"[{each.name.upper()}]" for each in command.params
             if each.param_type_name == "argument"]  # fmt: skip
    options = "; ".join(f"`{'`, `'.join([*each.opts, *each.secondary_opts])}` {each.help or ''}".strip().rstrip(".")
                        for each in options_of(command))  # fmt: skip
    about = " ".join((command.help or "").partition("\n\n")[0].split())
    return f"| `{' '.join([name, *words])}` | {about} | {options} |".replace(
        "`--json` Print JSON for programs", "`--json`"
    )


def test_every_setting_is_in_the_docs() -> None:
    docs = all_docs()
    known = settings_of_records() | settings_in_code() - _INTERNAL
    assert {"D8_HOME", "D8_OTEL_ENDPOINT", "D8_OPENAI_API_KEY"} <= known, "the test finds settings"
    missing = sorted(name for name in known if not re.search(rf"`{name}\b", docs))
    assert missing == [], "say in README.md (Settings) or in the page of their subject what these mean"


def test_the_readme_names_no_setting_that_is_none() -> None:
    table = read("README.md").partition("## Settings")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(D8_[A-Z_]+)`", table)) - {"D8_NAME_FILE"}
    assert sorted(named - settings_of_records() - settings_in_code()) == []


def test_every_command_and_option_is_in_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    # With nothing more than "d8", commands only have names.
    monkeypatch.setattr(sys, "argv", ["d8", "status"])
    known = dict(commands())
    assert len(known) > 50
    missing = [
        suggested_row(name, command)
        for name, command in known.items()
        if name not in rows()
        or any(
            f"`{spelled}`" not in rows()[name] for option in options_of(command) for spelled in option.opts
        )
    ]
    assert missing == [], "docs/command-line.md, 'Every command': " + "\n".join(missing)
    assert sorted(set(rows()) - set(known)) == [], "commands that are no more"
    for name, command in known.items():
        spelled = {each for option in options_of(command) for each in (*option.opts, *option.secondary_opts)}
        assert set(re.findall(r"`(--?[a-z][a-z-]*)`", rows()[name])) <= spelled, f"{name} has no such option"


def test_every_task_is_in_its_page_with_its_lanes_and_deadline() -> None:
    found = re.findall(
        r"^\| `([a-z.]+)` \| ([^|]*) \| ([^|]*) \| ([^|]*) \|", read("docs/tasks.md"), re.MULTILINE
    )
    told = {name: (lanes.strip(), deadline.strip(), tries.strip()) for name, lanes, deadline, tries in found}
    true = {
        task.name: (", ".join(task.lanes), f"{task.deadline_s} s", str(task.max_attempts)) for task in TASKS
    }
    assert told == true

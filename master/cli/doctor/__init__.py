"""``d8 doctor``: what is missing, and what to do about it.

``machine``, ``home``, ``parts``, ``rabbitmq``, ``fleet``: the checks, by what they look at. ``ground``: what
they are given. ``examine``: all of them at once, each with its time limit.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import typer

from master.cli.base import emit, table
from master.cli.look import Json

app = typer.Typer()


@app.command()
def doctor(json_mode: Json = False) -> None:
    """Say what is missing on this machine and in this fleet, and what to do. Exit code 3 if anything is."""
    from master.cli.doctor.examine import examine
    from master.cli.doctor.ground import ground_here
    from master.settings import load_settings

    findings = examine(ground_here(load_settings()))
    emit([dataclasses.asdict(finding) for finding in findings], json_mode, lambda _: _render(findings))
    if any(finding.level == "missing" for finding in findings):
        raise typer.Exit(3)


def _render(findings: list[Any]) -> Any:
    from rich.text import Text

    made = table("", "check", "found", "remedy")
    marks = {"ok": ("ok", "green"), "warning": ("look", "yellow"), "missing": ("missing", "red")}
    for finding in findings:
        made.add_row(Text(*marks[finding.level]), finding.check, finding.found, finding.remedy)
    return made

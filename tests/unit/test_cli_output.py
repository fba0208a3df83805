"""What the command line prints for people is what was written, brackets and colons and all."""

from __future__ import annotations

from typing import Any

import pytest

from master.cli.base import emit, follow_run, messages, table
from master.cli.doctor import _render
from master.cli.doctor.examine import Finding

#: Markup, an end of markup that began nowhere, and an emoji's name, to rich.
WRITTEN = "[[budgets]] [urgent] [/end] :house: of Bar [x]"


def test_text_and_tables_are_printed_as_they_were_written(capsys: pytest.CaptureFixture[str]) -> None:
    emit({}, False, lambda _: WRITTEN)
    assert capsys.readouterr().out == f"{WRITTEN}\n"

    def cells(_: Any) -> Any:
        made = table("title")
        made.add_row(WRITTEN)
        return made

    emit({}, False, cells)
    assert WRITTEN in capsys.readouterr().out


def test_messages_are_printed_as_they_were_written(capsys: pytest.CaptureFixture[str]) -> None:
    messages().print(f"Approved k7p2x: {WRITTEN}")
    assert capsys.readouterr().err == f"Approved k7p2x: {WRITTEN}\n"


def test_progress_shows_a_runs_note_as_it_was_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Once:
        def get(self, _: str) -> dict[str, Any]:
            return {"progress": 1.0, "note": WRITTEN, "steps_done": 1, "steps_total": 1, "state": "done"}

    # As wide a terminal as the note: a narrower one folds it.
    for name, value in {"TTY_COMPATIBLE": "1", "TERM": "xterm", "COLUMNS": "200", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    follow_run(Once(), "noop-1")  # type: ignore[arg-type]
    assert WRITTEN in capsys.readouterr().err


def test_doctors_marks_are_words_beside_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    findings = [Finding(check=level, level=level, found="[/x]") for level in ("ok", "warning", "missing")]
    emit([], False, lambda _: _render(findings))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert lines == [["ok", "ok", "[/x]"], ["look", "warning", "[/x]"], ["missing", "missing", "[/x]"]]

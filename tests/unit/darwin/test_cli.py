from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from master.cli import base
from master.cli.darwin import app
from master.cli.darwin_show import sparkline
from master.darwin.params import EnvironmentParams, ExamplesParams
from tasks.errors import InvalidInput, NotFound, Refused
from tests.unit.darwin.evaluators import dataset

PROGRAM = 'GENOME = {"kind": "vector", "size": 3}\ndef evaluate(genome):\n    return sum(genome)\n'
FOUND = {
    "verdict": {"better": True, "text": "Better: the best genome scores 90%."},
    "held_out": {"best": {"score": 0.9}},
    "best": {"id": "c7", "digest": "d" * 16, "prompt": "Labels: [red] [/x] <one of: a | b>"},
    "lineage": [
        {"id": "c1", "parents": [], "operators": ["seed"], "score": 0.5, "difference": ""},
        {
            "id": "c7",
            "parents": ["c1"],
            "operators": ["role"],
            "score": 0.9,
            "difference": "-role: x\n+role: y",
        },
    ],
    "artifacts": {"agent.json": "a" * 64},
}
PERSON = {
    "id": "c7",
    "number": 7,
    "digest": "d" * 16,
    "score": 0.9,
    "answered": 32,
    "tokens": 50.0,
    "seconds": 0.1,
    "operators": ["role"],
}


def shown(run_id: str, state: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": run_id,
        "state": state,
        "error": "",
        "note": "12 of 40 evaluations",
        "told": 12,
        "total": 40,
        "failed": 1,
        "cached": 2,
        "tokens": 600,
        "micros": 10_000,
        "left_s": 90.0,
        "busy_pct": 97.5,
        "population": [PERSON],
        "lineage": FOUND["lineage"],
        "points": [{"told": at, "best": at / 10} for at in range(5)],
        "result": None,
        **changes,
    }


class FakeApi:
    """A master on which one evolution is done, one runs, one failed, and one run is of another flow."""

    def __init__(self) -> None:
        self.uploaded: list[str] = []
        self.started: list[dict[str, Any]] = []
        self.posted: list[str] = []
        same = {
            "flow": "darwin",
            "error": "",
            "note": "",
            "result": None,
            "params": {"budget": {"evals": 40}},
        }
        self.runs: dict[str, dict[str, Any]] = {
            "1": {**same, "id": "1", "state": "done", "result": FOUND},
            "2": {**same, "id": "2", "state": "running"},
            "3": {**same, "id": "3", "state": "running", "flow": "niche"},
            "4": {**same, "id": "4", "state": "failed", "error": "no model"},
        }
        self.evolutions = {
            "1": shown("1", "done", result=FOUND),
            "2": shown("2", "running"),
            "5": shown("5", "running", population=[], points=[]),
        }

    def get(self, path: str) -> Any:
        kind, name = path.split("/")[2:]
        return self.evolutions[name] if kind == "evolutions" else self.runs[name]

    def post(self, path: str, body: Any = None, **_: Any) -> Any:
        self.posted.append(path)
        if path == "/api/runs":
            self.started.append(body)
        return {"id": "2", "state": "running"}

    def upload(self, name: str, data: bytes, media_type: str) -> str:
        self.uploaded.append(name)
        return "d" * 64

    def download(self, digest: str) -> bytes:
        return b'{"format": "d8-agent/2"}'


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    fake = FakeApi()
    monkeypatch.setattr(base, "connect", lambda: fake)
    return fake


def d8(*arguments: str) -> str:
    """Standard output of ``d8 darwin ARGUMENTS``; what it raises is raised."""
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False).stdout


def test_start_uploads_the_file_and_starts_a_run_with_what_was_asked(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "mail.jsonl"
    file.write_bytes(dataset())
    options = ("--seed", "7", "--population", "5", "--budget-evals", "90", "--budget-eur", "1.5")

    found = d8(
        "start", str(file), *options, "--until", "2026-12-01T07:00+01:00", "--metric", "macro-f1",
        "--objectives", "score,tokens,time", "--no-wait", "--json",
    )  # fmt: skip

    assert json.loads(found) == {"id": "2"}
    assert api.uploaded == ["mail.jsonl"]
    assert api.started[0]["flow"] == "darwin"
    params = ExamplesParams.model_validate(api.started[0]["params"])
    assert (params.filename, params.seed, params.population) == ("mail.jsonl", 7, 5)
    assert (params.budget.evals, params.budget.micros) == (90, 1_500_000)
    assert params.budget.until is not None
    assert params.judged_by.name == "macro_f1"


def test_a_program_starts_an_evolution_in_an_environment(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "ones.py"
    file.write_text(PROGRAM)

    d8("start", str(file), "--lot", "8", "--repeatable", "--no-wait")

    assert api.started[0]["flow"] == "darwin-environment"
    params = EnvironmentParams.model_validate(api.started[0]["params"])
    assert (params.lot, params.repeatable, params.trusted) == (8, True, False)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("def evaluate(genome) return 1", r"bad\.py:1: not Python"),
        ('GENOME = {"kind": "vector"}\n', "no function evaluate"),
        ('GENOME = {"kind": "vector"}\ndef evaluate(a, b): return 1\n', r"bad\.py:2: evaluate is called"),
        ("def evaluate(genome): return 1\n", "no GENOME"),
        ("GENOME = dict(x=1)\ndef evaluate(genome): return 1\n", r"bad\.py:1: GENOME is computed"),
        (
            'GENOME = {"kind": "vector", "low": 2, "high": 1}\ndef evaluate(genome): return 1\n',
            "leave no room",
        ),
        ('GENOME = {"kind": "code"}\ndef evaluate(genome): return 1\n', "at least one program in seeds"),
        ('GENOME = {"kind": "tree"}\ndef evaluate(genome): return 1\n', r"GENOME\.kind is not accepted"),
    ],
)
def test_a_bad_program_is_refused_before_anything_is_sent(
    api: FakeApi, tmp_path: Path, text: str, complaint: str
) -> None:
    file = tmp_path / "bad.py"
    file.write_text(text)

    with pytest.raises(InvalidInput, match=complaint):
        d8("start", str(file))
    assert api.uploaded == []


def test_a_bad_file_is_refused_by_line_before_anything_is_sent(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "mail.jsonl"
    file.write_bytes(dataset() + b"\n{oops}\n")

    with pytest.raises(InvalidInput, match=r"mail\.jsonl:121: not JSON"):
        d8("start", str(file))
    assert api.uploaded == []
    assert api.started == []


@pytest.mark.parametrize("options", [("--task", "guess"), ("--metric", "token-f1"), ("--until", "tomorrow")])
def test_an_option_that_fits_nothing_is_refused(
    api: FakeApi, tmp_path: Path, options: tuple[str, str]
) -> None:
    file = tmp_path / "mail.jsonl"
    file.write_bytes(dataset())
    with pytest.raises(InvalidInput):
        d8("start", str(file), *options)
    assert api.started == []


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_path_that_is_no_file_is_refused(api: FakeApi, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        d8("start", str(tmp_path / name))


def test_best_prints_the_prompt_as_it_is(api: FakeApi) -> None:
    # Square brackets are markup to the console unless they are told not to be.
    assert FOUND["best"]["prompt"] in d8("best", "1")


def test_best_of_a_run_in_progress_is_the_best_so_far(api: FakeApi) -> None:
    assert "c7: score 0.9" in d8("best", "2")


def test_a_run_without_a_best_genome_yet_is_refused_with_its_state(api: FakeApi) -> None:
    with pytest.raises(Refused, match="evolution 5 is running and has no best genome yet"):
        d8("best", "5")


def test_show_has_progress_cost_and_population_and_at_the_end_the_verdict(api: FakeApi) -> None:
    running, done = d8("show", "2"), d8("show", "1")

    assert "12 of 40 evaluations, 1 failed, 2 known already" in running
    assert "97.5%" in running
    assert "about 1.5 minutes left" in running
    assert "c7" in running
    assert FOUND["verdict"]["text"] in done


def test_lineage_shows_what_each_ancestor_changed(api: FakeApi) -> None:
    told = d8("lineage", "1")
    assert "c7  role from c1" in told
    assert "+role: y" in told


def test_stop_asks_the_master_to_end_it(api: FakeApi) -> None:
    d8("stop", "2")
    assert api.posted == ["/api/evolutions/2/stop"]


def test_resume_goes_on_with_a_failed_run_and_continues_an_ended_one_anew(api: FakeApi) -> None:
    d8("resume", "4")
    assert api.posted == ["/api/runs/4/retry"]

    d8("resume", "1", "--budget-evals", "80")
    assert api.started[0]["params"] == {"budget": {"evals": 80}, "resumes": "1"}
    with pytest.raises(Refused, match="evolution 2 is running"):
        d8("resume", "2")


def test_export_writes_the_agent_and_does_not_replace_a_file_unasked(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "agent.json"
    d8("export", "1", str(file))
    assert json.loads(file.read_text())["format"] == "d8-agent/2"

    file.write_text("mine")
    with pytest.raises(InvalidInput, match="is there already"):
        d8("export", "1", str(file))
    assert file.read_text() == "mine"
    d8("export", "1", str(file), "--force")
    assert file.read_text() != "mine"


def test_export_to_a_folder_that_is_not_there_leaves_nothing(api: FakeApi, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be written"):
        d8("export", "1", str(tmp_path / "no" / "agent.json"))
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_another_flow_is_no_evolution(api: FakeApi) -> None:
    with pytest.raises(NotFound, match="run 3 is a niche run"):
        d8("export", "3", "x.json")


def test_a_sparkline_goes_from_the_least_to_the_most() -> None:
    assert sparkline([0.0, 0.5, 1.0]) == "0 ▁▅██ 1"
    assert sparkline([]) == ""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from master.cli import base
from master.cli.darwin import app
from tasks.errors import InvalidInput, NotFound, Refused
from tests.unit.darwin.evaluators import dataset
from tests.unit.darwin.test_flow import evolved


class FakeApi:
    """A master on which one evolution is done, one runs, and one run is of another flow."""

    def __init__(self) -> None:
        fake, found = evolved(generations=1)
        self.artifacts = fake.artifacts
        self.uploaded: list[str] = []
        self.started: list[dict[str, Any]] = []
        same = {"flow": "darwin", "error": "", "note": "generation 1: 6 new genomes", "result": None}
        self.runs: dict[str, dict[str, Any]] = {
            "1": {**same, "id": "1", "state": "done", "result": found},
            "2": {**same, "id": "2", "state": "running"},
            "3": {**same, "id": "3", "state": "running", "flow": "niche"},
        }

    def get(self, path: str) -> Any:
        return self.runs[path.rsplit("/", 1)[1]]

    def post(self, path: str, body: Any, **_: Any) -> Any:
        self.started.append(body)
        return {"id": "2"}

    def upload(self, name: str, data: bytes, media_type: str) -> str:
        self.uploaded.append(name)
        return "d" * 64

    def download(self, digest: str) -> bytes:
        return self.artifacts[digest]


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

    found = d8("start", str(file), "--seed", "7", "--population", "5", "--no-wait", "--json")

    assert json.loads(found) == {"id": "2"}
    assert api.uploaded == ["mail.jsonl"]
    params = api.started[0]["params"]
    assert api.started[0]["flow"] == "darwin"
    assert (params["filename"], params["seed"], params["population"]) == ("mail.jsonl", 7, 5)


def test_a_bad_file_is_refused_by_line_before_anything_is_sent(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "mail.jsonl"
    file.write_bytes(dataset() + b"\n{oops}\n")

    with pytest.raises(InvalidInput, match=r"mail\.jsonl:121: not JSON"):
        d8("start", str(file))
    assert api.uploaded == []
    assert api.started == []


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_path_that_is_no_file_is_refused(api: FakeApi, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        d8("start", str(tmp_path / name))


def test_best_prints_the_prompt_as_it_is(api: FakeApi) -> None:
    found = api.runs["1"]["result"]
    # Square brackets are markup to the console unless they are told not to be.
    found["best"]["prompt"] = "Labels: [red] [/x] <one of: a | b>"

    assert found["best"]["prompt"] in d8("best", "1")


def test_show_has_every_generation_and_the_lineage(api: FakeApi) -> None:
    shown = d8("show", "1")

    found = api.runs["1"]["result"]
    assert found["verdict"]["text"] in shown
    assert all(one["id"] in shown for one in found["lineage"])


def test_show_of_a_run_in_progress_says_how_far_it_is(api: FakeApi) -> None:
    assert "evolution 2 is running: generation 1" in d8("show", "2")


def test_export_writes_the_agent_and_does_not_replace_a_file_unasked(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "agent.json"
    d8("export", "1", str(file))
    assert json.loads(file.read_text())["format"] == "d8-agent/1"

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


def test_a_run_without_a_best_genome_yet_is_refused_with_its_state(api: FakeApi) -> None:
    with pytest.raises(Refused, match="evolution 2 is running and has no best genome yet"):
        d8("best", "2")


def test_a_run_of_another_flow_is_no_evolution(api: FakeApi) -> None:
    with pytest.raises(NotFound, match="run 3 is a niche run"):
        d8("show", "3")

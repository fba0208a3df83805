"""An evolution on a real fleet: Celery, the sandbox, the library of CMA-ES; looked at while it runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import urllib3

from tests.conftest import StartProcess
from tests.e2e.fleet import Fleet
from tests.support import ROOT, wait_until


def test_cma_evolves_in_a_sandboxed_program_and_is_stopped_and_continued(
    d8_home: Path, start_process: StartProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("D8_EXECUTORS", "native")
    fleet = Fleet(start_process, d8_home)
    fleet.start_master()
    fleet.start_worker("one")
    program = str(ROOT / "examples" / "sphere.py")
    options = ("--trusted", "--engine", "cma", "--lot", "4", "--population", "8", "--no-wait")

    run = fleet.ask("darwin", "start", program, *options, "--budget-evals", "5000")["id"]
    wait_until(lambda: fleet.ask("darwin", "show", run)["told"] >= 40, 60, "40 evaluations are told")
    fleet.ask("darwin", "stop", run)
    ended = fleet.wait_done(run)

    shown = fleet.ask("darwin", "show", run)
    assert ended["result"]["ended"].startswith("stopped by")
    assert shown["failed"] == 0
    assert shown["busy_pct"] > 0
    assert shown["population"][0]["score"] == ended["result"]["best"][0]["score"] > -50
    page = _page(fleet, f"/darwin/{run}")
    assert "<svg" in page
    assert "comes from</h2>" in page

    fleet.tell("darwin", "export", run, str(d8_home / "found.json"))
    found = json.loads((d8_home / "found.json").read_text())
    assert found["format"] == "d8-genome/1"
    assert found["goals"] == ["min"]
    assert found["best"] == ended["result"]["best"]
    assert found["provenance"]["lineage"][-1]["id"] == found["best"][0]["id"]

    more = shown["told"] + 16
    again = fleet.ask("darwin", "resume", run, "--budget-evals", str(more))["id"]
    assert fleet.wait_done(again)["result"]["best"][0]["score"] >= ended["result"]["best"][0]["score"]


def _page(fleet: Fleet, path: str) -> str:
    token = (fleet.home / "secrets" / "owner.token").read_text().strip()
    url = f"http://127.0.0.1:{fleet.env['D8_PORT']}{path}"
    answer = urllib3.request("GET", url, headers={"Authorization": f"Bearer {token}"}, retries=False)
    assert answer.status == 200
    return answer.data.decode()

"""A step that kills its own process is tried three times and parked; nothing else waits for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from master.cli.base import connect
from tests.conftest import StartProcess
from tests.e2e.fleet import Fleet


@pytest.fixture
def fleet(start_process: StartProcess, d8_home: Path) -> Fleet:
    return Fleet(start_process, d8_home)


def test_crashing_step_is_parked_with_its_reason_and_others_go_on(fleet: Fleet) -> None:
    fleet.start_master()
    fleet.start_worker("one")
    drill = fleet.start("drill", {"behavior": "crash"})
    others = fleet.start_noop(20)
    fleet.wait_done(others)
    run = fleet.wait_done(drill)
    (step,) = run["steps"]
    assert (step["state"], step["attempts"]) == ("failed", 3)
    assert "its process died" in step["error"]
    told = [attempt["outcome"] for attempt in connect().items(f"/api/runs/{drill}/attempts")]
    assert told == ["crashed"] * 3, "its parent said so each time; no lease had to run out"
    assert fleet.workers()["one"]["state"] == "active"

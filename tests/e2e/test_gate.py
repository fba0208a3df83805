"""A worker of another build never runs a line of a task; a change of build strands nothing."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.conftest import StartProcess
from tests.e2e.fleet import Fleet, copy_code


@pytest.fixture
def fleet(start_process: StartProcess, d8_home: Path) -> Fleet:
    return Fleet(start_process, d8_home)


def _another_build(folder: Path, mark: Path) -> Path:
    """A copy of the code whose handler leaves a mark when its module is so much as imported."""
    root = copy_code(folder)
    handler = root / "worker" / "handlers" / "fleet_noop.py"
    handler.write_text(handler.read_text() + f"\nopen({str(mark)!r}, 'a').write('ran')\n")
    return root


def test_outdated_worker_gets_no_work_and_is_shown_with_the_reason(fleet: Fleet, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    old = _another_build(tmp_path / "old", mark)
    fleet.start_master()
    fleet.start_worker("outdated", root=old, state="wrong_build")
    run_id = fleet.start_noop(20)
    fleet.start_worker("right")
    run = fleet.wait_done(run_id)
    assert {step["worker"] for step in run["steps"]} == {"right"}
    assert not mark.exists(), "the outdated worker imported the handler"
    workers = fleet.workers()
    assert workers["outdated"]["state"] == "wrong_build"
    assert workers["outdated"]["build"] != workers["right"]["build"]
    assert workers["right"]["build"] in workers["outdated"]["reason"]


def test_new_build_takes_over_what_waits_and_keeps_what_runs(fleet: Fleet, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    new = _another_build(tmp_path / "new", mark)
    master = fleet.start_master()
    fleet.start_worker("before", slots=1)
    old_build = fleet.workers()["before"]["build"]
    run_id = fleet.start_noop(6, duration_s=8)
    fleet.wait_step(run_id, "running")
    fleet.wait_step(run_id, "queued")
    master.signal(signal.SIGTERM)
    assert master.wait(60) == 0

    fleet.start_master(new)
    fleet.start_worker("after", root=new, slots=5)
    run = fleet.wait_done(run_id)
    by_worker = {step["worker"] for step in run["steps"]}
    assert by_worker == {"before", "after"}, "what ran on the old build finished there, the rest moved on"
    assert {step["build"] for step in run["steps"] if step["worker"] == "before"} == {old_build}
    assert fleet.workers()["before"]["state"] == "wrong_build"
    assert mark.exists()

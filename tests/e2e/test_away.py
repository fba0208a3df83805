"""The master is away while its workers finish: nothing of their work is done again."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.conftest import StartProcess
from tests.e2e.fleet import Fleet
from tests.support import wait_until


@pytest.fixture
def fleet(start_process: StartProcess, d8_home: Path) -> Fleet:
    return Fleet(start_process, d8_home)


def test_result_of_a_step_that_ended_without_the_master_is_recorded_when_it_is_back(fleet: Fleet) -> None:
    master = fleet.start_master()
    worker = fleet.start_worker("one", slots=1)
    run_id = fleet.start_noop(1, duration_s=4)
    fleet.wait_step(run_id, "running")
    master.signal(signal.SIGTERM)
    assert master.wait(60) == 0
    spool = fleet.home / "worker" / "one" / "spool"
    wait_until(lambda: list(spool.glob("*.json")), 60, "the result is on disk", worker.tail)
    # The worker, too, may end before the master is back.
    worker.stop()
    fleet.start_master()
    fleet.start_worker("one", slots=1)
    (step,) = fleet.wait_done(run_id)["steps"]
    assert (step["state"], step["attempts"]) == ("done", 1), "it was not run again"
    wait_until(lambda: not list(spool.glob("*.json")), 30, "the spool is empty")

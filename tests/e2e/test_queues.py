"""The database is the truth: a broker that loses everything loses nothing."""

from __future__ import annotations

from pathlib import Path

import redis

from tests.conftest import StartProcess
from tests.e2e.fleet import Fleet


def test_deleting_every_queue_while_200_steps_wait_loses_none(
    start_process: StartProcess, d8_home: Path
) -> None:
    fleet = Fleet(start_process, d8_home)
    fleet.start_master()
    run_id = fleet.start_noop(200, duration_s=0.05)
    fleet.start_worker("one", slots=4)
    fleet.wait_step(run_id, "queued")
    broker = redis.Redis.from_url((d8_home / "run" / "broker.url").read_text().strip())
    broker.flushall()
    broker.close()
    run = fleet.wait_done(run_id)
    assert run["steps_done"] == 200
    assert run["result"]["steps"] == 200

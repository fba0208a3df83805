"""The numbers of workers' model servers, and what steps asked of models."""

from __future__ import annotations

import pytest

from master.fleet.roster import list_workers, remove_worker
from master.fleet.workers import leave_worker, miss_workers, model_servers
from master.flows.runs import show_run
from tasks.protocol import Heartbeat, ModelServerStats
from tests.integration.core.conftest import HARDWARE, Bench
from tests.integration.core.fleet.stage import beat, join, report, standing


def test_model_servers_numbers_are_kept_as_long_as_the_worker_is_heard_from(bench: Bench) -> None:
    join(bench, "card")
    assert standing(bench, "card")["model_server"] is None
    stats = ModelServerStats(models=("fake:",), rows=3, max_rows=32, prefix_hit_rate=0.5, done=7)
    beat(bench, "card", models=stats)
    assert standing(bench, "card")["model_server"] == stats.model_dump(mode="json")
    assert bench.read(model_servers) == {"card": stats, "one": None}
    beat(bench, "card")
    assert bench.read(model_servers)["card"] is None, "its model server has gone"


@pytest.mark.parametrize("how", ["silent", "stopped", "removed", "started again"])
def test_numbers_of_a_worker_that_is_gone_are_not_shown_as_if_they_were_of_now(
    bench: Bench, how: str
) -> None:
    join(bench, "card")
    beat(bench, "card", models=ModelServerStats(rows=3))
    if how == "silent":
        bench.pass_by(76)
        bench.write(miss_workers, heartbeat_s=30)
    elif how == "stopped":
        bye = Heartbeat(worker="card", session="session-card", hardware=HARDWARE)
        bench.write(leave_worker, bye)
    elif how == "removed":
        bench.write(remove_worker, "card", by="owner")
    else:
        join(bench, "card")
    shown = {worker["name"]: worker for worker in bench.read(lambda c: list_workers(c, removed=True))}
    assert shown["card"]["model_server"] is None
    assert bench.read(model_servers).get("card") is None


def test_run_shows_what_its_steps_asked_of_models(bench: Bench) -> None:
    run_id = bench.start(steps=2)
    first, second = bench.publish()
    usage = {"prompt_tokens": 9, "kept": 1, "models": [{"model": "fake:", "sha256": "0" * 64}]}
    for posting, used, number in ((first, usage, 1), (second, {}, 2)):
        granted = bench.granted(posting.ticket, claim=f"claim-0{number}")
        report(bench, granted, "one", result={"echo": "", "started_at_s": 1.0}, usage=used)
    shown = bench.read(lambda c: show_run(c, run_id))["steps"]
    assert [step["usage"] for step in shown if step["kind"] == "task"] == [usage, {}]

"""Which worker gets a step: what it has, what it prefers, how fast it was."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select, update

from master.dispatch.publish import ring_again
from master.fleet.paces import note_paces
from master.fleet.workers import leave_worker
from master.store.tables import paces, runs, steps
from tasks.needs import Needs
from tasks.protocol import Grant, Heartbeat, Refusal
from tests.integration.core.conftest import BUILD, Bench
from tests.integration.core.fleet.stage import GPU, SANDBOX, claim, join, report, set_needs


def test_step_for_the_gpu_lane_is_refused_to_a_worker_without_one(bench: Bench) -> None:
    join(bench, "card", lanes=("cpu", "gpu"), hardware=GPU)
    bench.start(steps=1)
    with bench.database.write() as connection:
        connection.execute(update(steps).values(lanes="gpu"))
    (posting,) = bench.publish()
    refused = claim(bench, posting, "one")
    assert isinstance(bench.claim(posting.ticket, "one"), Refusal)
    assert isinstance(refused, Refusal)
    assert isinstance(claim(bench, posting, "card"), Grant)


def test_step_goes_to_the_worker_that_has_what_it_needs_and_no_other_may_claim_it(bench: Bench) -> None:
    join(bench, "safe", hardware=SANDBOX)
    bench.start(steps=1)
    set_needs(bench, Needs(executor="docker"))
    (posting,) = bench.publish()
    assert posting.queue == f"d8.@safe.{BUILD}"
    refused = bench.claim(posting.ticket, "one")
    assert isinstance(refused, Refusal)
    assert "executor 'docker'" in refused.refused
    assert isinstance(claim(bench, posting, "safe"), Grant)


def test_step_that_no_known_worker_can_ever_run_says_so_at_once(bench: Bench) -> None:
    run_id = bench.start(steps=1)
    set_needs(bench, Needs(gpu_memory_mib=80_000))
    assert bench.publish() == []
    (step,) = bench.read(lambda c: c.execute(select(steps)).all())
    assert step.state == "failed"
    assert "one: it wants a GPU with 80000 MiB, the largest here has 0 MiB" in step.error
    assert f"d8 run retry {run_id}" in step.error
    bench.engine.advance(run_id)
    assert bench.read(lambda c: c.execute(select(runs.c.state)).scalar()) == "failed"


def test_step_waits_for_a_fitting_worker_that_is_only_away(bench: Bench) -> None:
    join(bench, "card", lanes=("cpu", "gpu"), hardware=GPU)
    bye = Heartbeat(worker="card", session="session-card", hardware=GPU)
    bench.write(leave_worker, bye)
    bench.start(steps=1)
    set_needs(bench, Needs(gpu_memory_mib=16_000), lanes="gpu")
    assert bench.publish() == []
    (step,) = bench.read(lambda c: c.execute(select(steps)).all())
    assert step.state == "ready"
    join(bench, "card", lanes=("cpu", "gpu"), hardware=GPU)
    (posting,) = bench.publish()
    assert isinstance(claim(bench, posting, "card"), Grant)


def test_directed_ticket_goes_back_to_the_lane_when_it_is_not_claimed(bench: Bench) -> None:
    join(bench, "two")
    bench.start(steps=1)
    (posting,) = bench.publish()
    assert posting.sent_to
    bench.pass_by(6)
    (again,) = bench.write(ring_again, ring_again_s=5.0)
    assert again.queue == f"d8.cpu.{BUILD}"
    assert again.ticket == posting.ticket
    other = "two" if posting.sent_to == "one" else "one"
    session = "session-two" if other == "two" else "session-1"
    assert isinstance(bench.claim(again.ticket, other, session=session), Grant)


def test_step_for_some_is_placed_anew_when_its_worker_goes(bench: Bench) -> None:
    join(bench, "safe", hardware=SANDBOX)
    bench.start(steps=1)
    set_needs(bench, Needs(executor="docker"))
    (posting,) = bench.publish()
    bench.write(leave_worker, Heartbeat(worker="safe", session="session-safe", hardware=SANDBOX))
    join(bench, "other", hardware=SANDBOX)
    bench.pass_by(6)
    assert bench.write(ring_again, ring_again_s=5.0) == []
    (again,) = bench.publish()
    assert again.sent_to == "other"
    assert isinstance(claim(bench, posting, "other"), Refusal), "the first ticket is void"
    assert isinstance(claim(bench, again, "other", "claim-02"), Grant)


def test_paces_are_learned_from_what_was_recorded(bench: Bench) -> None:
    bench.start(steps=2)
    for number, posting in enumerate(bench.publish()):
        grant = bench.claim(posting.ticket, claim=f"claim-{number:02}")
        assert isinstance(grant, Grant)
        bench.pass_by(10)
        report(bench, grant, "one", result={"echo": "", "started_at_s": 1.0})
    with bench.database.write() as connection:
        assert note_paces(connection) == 2
        assert note_paces(connection) == 0
    (pace,) = bench.read(lambda c: c.execute(select(paces)).all())
    assert (pace.task, pace.worker, pace.steps) == ("fleet.noop", "one", 2)
    assert pace.seconds == pytest.approx(10)


def test_faster_worker_is_preferred_while_it_has_a_free_slot(bench: Bench) -> None:
    join(bench, "slow")
    with bench.database.write() as connection:
        connection.execute(insert(paces).values(task="fleet.noop", worker="slow", seconds=9.0, steps=5))
        connection.execute(insert(paces).values(task="fleet.noop", worker="one", seconds=3.0, steps=5))
    bench.start(steps=1)
    (posting,) = bench.publish()
    assert posting.sent_to == "one"

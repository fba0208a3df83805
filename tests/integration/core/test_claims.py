"""The claim is the fence: granted once, to the right worker, and only its holder may report."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select

from master.dispatch.claims import record_report, renew_lease
from master.dispatch.publish import ring_again
from master.dispatch.reap import reap_leases
from master.fleet.roster import list_workers
from master.store.tables import outcomes, runs
from tasks.errors import StaleToken
from tasks.protocol import Failure, Grant, Refusal, Renewal, Report
from tests.integration.core.conftest import Bench, result_of


def test_a_claim_is_granted_once_of_many_at_the_same_time(bench: Bench) -> None:
    bench.start(steps=1)
    (posting,) = bench.publish()
    answers: list[object] = []
    gate = threading.Barrier(8)

    def claim(number: int) -> None:
        gate.wait()
        answers.append(bench.claim(posting.ticket, claim=f"claim-{number:02}"))

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(answer) for answer in answers].count(Grant) == 1
    assert len(answers) == 8


def test_repeating_a_granted_claim_returns_the_same_grant(bench: Bench) -> None:
    bench.start(steps=1)
    (posting,) = bench.publish()
    assert bench.granted(posting.ticket) == bench.granted(posting.ticket)


def test_worker_of_another_build_is_refused_and_told_what_to_do(bench: Bench) -> None:
    bench.join("old", build="a" * 12)
    bench.start(steps=1)
    (posting,) = bench.publish()
    answer = bench.claim(posting.ticket, "old")
    assert isinstance(answer, Refusal)
    assert "aaaaaaaaaaaa" in answer.refused
    assert "start it again" in answer.refused
    listed = {worker["name"]: worker for worker in bench.read(list_workers)}
    assert listed["old"]["state"] == "wrong_build"
    assert "bbbbbbbbbbbb" in listed["old"]["reason"]


def test_a_session_that_was_replaced_is_refused(bench: Bench) -> None:
    bench.start(steps=1)
    (posting,) = bench.publish()
    bench.join(session="session-2")
    answer = bench.claim(posting.ticket)
    assert isinstance(answer, Refusal)
    assert "started again" in answer.refused


def test_worker_that_starts_again_gives_back_what_it_held(bench: Bench) -> None:
    bench.start(steps=1)
    (posting,) = bench.publish()
    grant = bench.granted(posting.ticket)
    bench.join(session="session-2")
    step = bench.step(grant.step)
    assert (step.state, step.attempt) == ("ready", 2)


def test_result_with_a_token_that_was_never_given_is_refused(bench: Bench) -> None:
    bench.start(steps=1)
    (posting,) = bench.publish()
    grant = bench.granted(posting.ticket)
    forged = result_of(grant).model_copy(update={"token": "0" * 24})
    with pytest.raises(StaleToken):
        bench.write(record_report, forged)
    assert bench.step(grant.step).state == "running"


def test_report_that_comes_twice_is_recorded_once(bench: Bench) -> None:
    bench.start(steps=1)
    (posting,) = bench.publish()
    grant = bench.granted(posting.ticket)
    assert not bench.write(record_report, result_of(grant)).again
    assert bench.write(record_report, result_of(grant)).again
    assert bench.read(lambda c: c.execute(select(func.count()).select_from(outcomes)).scalar()) == 1


def _lose(bench: Bench) -> Grant:
    """A claimed step whose lease has run out."""
    bench.start(steps=1)
    (posting,) = bench.publish()
    grant = bench.granted(posting.ticket)
    bench.pass_by(21)
    assert bench.write(reap_leases) == 1
    return grant


def test_late_result_counts_when_nobody_has_claimed_since(bench: Bench) -> None:
    grant = _lose(bench)
    (again,) = bench.publish()
    assert again.ticket.attempt == 2
    bench.write(record_report, result_of(grant))
    assert bench.step(grant.step).state == "done"
    assert isinstance(bench.claim(again.ticket, claim="claim-02"), Refusal)


def test_late_result_is_refused_after_another_claim(bench: Bench) -> None:
    grant = _lose(bench)
    (again,) = bench.publish()
    second = bench.granted(again.ticket, claim="claim-02")
    with pytest.raises(StaleToken):
        bench.write(record_report, result_of(grant))
    bench.write(record_report, result_of(second))
    assert bench.step(grant.step).state == "done"


def test_renewal_takes_the_step_up_again_while_nobody_else_has_it(bench: Bench) -> None:
    grant = _lose(bench)
    (again,) = bench.publish()
    bench.write(renew_lease, Renewal(step=grant.step, token=grant.token), lease_s=20)
    step = bench.step(grant.step)
    assert (step.state, step.attempt) == ("running", 1)
    assert isinstance(bench.claim(again.ticket, claim="claim-02"), Refusal)


def test_renewal_keeps_the_lease(bench: Bench) -> None:
    bench.start(steps=1)
    (posting,) = bench.publish()
    grant = bench.granted(posting.ticket)
    for _ in range(5):
        bench.pass_by(15)
        bench.write(renew_lease, Renewal(step=grant.step, token=grant.token, progress=0.5), lease_s=20)
        assert bench.write(reap_leases) == 0
    assert bench.step(grant.step).progress == 0.5


def test_step_that_kills_its_process_three_times_is_parked_with_its_reason(bench: Bench) -> None:
    run_id = bench.start(steps=1)
    for number in range(3):
        (posting,) = bench.publish()
        grant = bench.granted(posting.ticket, claim=f"claim-{number:02}")
        report = Report(
            step=grant.step,
            attempt=grant.attempt,
            token=grant.token,
            worker="one",
            failure=Failure.CRASHED,
            error="signal 9",
        )
        bench.write(record_report, report)
    assert bench.publish() == []
    bench.engine.advance(run_id)
    run = bench.read(lambda c: c.execute(select(runs).where(runs.c.id == run_id)).one())
    assert run.state == "failed"
    assert "signal 9" in run.error


def test_ticket_that_nobody_claims_rings_again_with_growing_waits(bench: Bench) -> None:
    bench.start(steps=1)
    bench.publish()
    waits = []
    for _ in range(4):
        waited = 0
        while not bench.write(ring_again, ring_again_s=5.0):
            bench.pass_by(1)
            waited += 1
        waits.append(waited)
    assert waits == [5, 10, 20, 40]


def test_build_change_retargets_queued_steps_and_old_tickets_are_void(bench: Bench) -> None:
    bench.start(steps=2)
    first, second = bench.publish()
    running = bench.granted(first.ticket)
    bench.install("c" * 12)
    bench.join("new", build="c" * 12)
    assert isinstance(bench.claim(second.ticket, claim="claim-02"), Refusal)
    (again,) = bench.publish()
    assert (again.ticket.step, again.ticket.attempt, again.ticket.build) == (second.ticket.step, 2, "c" * 12)
    assert bench.granted(again.ticket, name="new").task == "fleet.noop"
    # What ran on the old build may finish.
    bench.write(record_report, result_of(running))
    assert bench.step(running.step).state == "done"

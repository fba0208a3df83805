"""Flows survive: crashes between any two writes, passes that meet, answers that come meanwhile."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from master.approvals import Policy, Voter, decide, expire_approvals, list_approvals
from master.capabilities import load_capabilities
from master.dispatch.claims import record_report
from master.dispatch.publish import ring_again
from master.dispatch.reap import reap_leases
from master.events import record_event
from master.flows import ApprovalType, FlowContext, Question, StepFailed, flow
from master.flows.registry import _FLOWS
from master.flows.runs import cancel_run, retry_run
from master.store import Writer
from master.store.tables import events, outcomes, runs, steps
from tasks import fleet_noop
from tasks.errors import InvalidInput, Refused, StaleToken
from tasks.protocol import Failure, Report
from tasks.record import Record
from tests.integration.core.conftest import Bench, result_of


class Nothing(Record):
    pass


def _voter(name: str) -> Voter:
    return Voter(identity=f"token:{name}", name=name, door="test")


ME = _voter("me")


@pytest.fixture(autouse=True)
def _own_flows() -> Iterator[None]:
    load_capabilities()
    before = dict(_FLOWS)
    yield
    _FLOWS.clear()
    _FLOWS.update(before)


def _count_event(connection: Any, now: Any) -> int:
    record_event(connection, "acted", now)
    return 7


def _whole_flow(bench: Bench) -> None:
    @flow("whole", params=Nothing)
    def whole(ctx: FlowContext, params: Nothing) -> dict[str, Any]:
        handles = [ctx.start(f"s:{n}", fleet_noop.TASK, fleet_noop.Request(echo=str(n))) for n in range(3)]
        echoes = [result.echo for result in ctx.gather(handles)]
        acted = ctx.act("act", lambda connection: _count_event(connection, bench.now))
        decision = ctx.ask("ask", Question(type=ApprovalType.PAYMENT, title="Buy?", reason="Because."))
        return {"echoes": echoes, "acted": acted, "approved": decision.approved}


def _work(bench: Bench, run_id: str) -> None:
    """Run every step that is ready, and pass after pass, until nothing moves."""
    for number in itertools.count():
        bench.engine.advance(run_id)
        postings = bench.publish() + bench.write(ring_again, ring_again_s=5.0)
        if not postings:
            return
        for posting in postings:
            grant = bench.granted(posting.ticket, claim=f"claim-{number}-{posting.ticket.step}")
            bench.write(record_report, result_of(grant, grant.key))


def _run(bench: Bench, run_id: str) -> Any:
    return bench.read(lambda c: c.execute(select(runs).where(runs.c.id == run_id)).one())


def _count(bench: Bench, name: str) -> int:
    return int(
        bench.read(lambda c: c.execute(select(func.count()).where(events.c.name == name)).scalar_one())
    )


def test_a_flow_goes_from_steps_to_a_question_to_its_result(bench: Bench) -> None:
    _whole_flow(bench)
    run_id = bench.start("whole")
    _work(bench, run_id)
    assert _run(bench, run_id).state == "waiting"
    _approve_pending(bench)
    _work(bench, run_id)
    assert _run(bench, run_id).result == {"echoes": ["s:0", "s:1", "s:2"], "acted": 7, "approved": True}


def test_a_crash_at_any_write_of_any_pass_changes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The n-th commit fails, for every n: a repetition comes to the same result."""
    _whole_flow(bench)
    crashes = 0
    for crash_at in range(1, 60):
        seen = itertools.count(1)
        real = type(bench.database).write

        def failing(
            self: Any, *, durable: bool = True, seen: Any = seen, at: int = crash_at, real: Any = real
        ) -> Any:
            return _Failing(real(self, durable=durable)) if next(seen) == at else real(self, durable=durable)

        run_id = bench.start("whole")
        monkeypatch.setattr(type(bench.database), "write", failing)
        try:
            _work(bench, run_id)
            _approve_pending(bench)
            _work(bench, run_id)
            reached = False
        except _Crash:
            reached = True
            crashes += 1
        monkeypatch.setattr(type(bench.database), "write", real)
        for _ in range(2):
            bench.pass_by(70)
            bench.write(reap_leases)
            _work(bench, run_id)
            _approve_pending(bench)
            _work(bench, run_id)
        assert _run(bench, run_id).result == {"echoes": ["s:0", "s:1", "s:2"], "acted": 7, "approved": True}
        if not reached:
            break
    assert crashes >= 8
    assert _count(bench, "acted") == crashes + 1, "an act happens once per run"


class _Crash(BaseException):
    pass


class _Failing:
    """A write that does everything and is killed before its commit."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __enter__(self) -> Any:
        return self._inner.__enter__()

    def __exit__(self, *exc: Any) -> Any:
        crash = _Crash()
        if self._inner.__exit__(_Crash, crash, None):
            return True
        raise crash


def _approve_pending(bench: Bench) -> None:
    for one in bench.read(list_approvals):
        if one.state == "pending":
            bench.write(decide, one.id, approve=True, voter=ME, policy=Policy(), note="")


def test_of_two_passes_that_meet_one_counts(bench: Bench) -> None:
    meet = threading.Barrier(2, timeout=20)

    @flow("meeting", params=Nothing)
    def meeting(ctx: FlowContext, params: Nothing) -> dict[str, Any]:
        if not ctx.recorded:
            meet.wait()
        ctx.act("act", lambda connection: _count_event(connection, bench.now))
        ctx.call("s", fleet_noop.TASK, fleet_noop.Request())
        return {}

    from master.flows.runs import start_run

    run_id = bench.write(start_run, "meeting", {})
    threads = [threading.Thread(target=bench.engine.advance, args=(run_id,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.engine.advance(run_id)
    assert _count(bench, "acted") == 1
    assert bench.read(lambda c: c.execute(select(func.count()).select_from(steps)).scalar()) == 2


def test_settle_any_gives_what_was_recorded_first(bench: Bench) -> None:
    @flow("any", params=Nothing)
    def first(ctx: FlowContext, params: Nothing) -> dict[str, Any]:
        handles = [ctx.start(f"s:{n}", fleet_noop.TASK, fleet_noop.Request()) for n in range(3)]
        return {"first": ctx.settle_any(handles).key}

    run_id = bench.start("any")
    postings = bench.publish()
    grant = bench.granted(postings[1].ticket)
    bench.write(record_report, result_of(grant))
    bench.engine.advance(run_id)
    assert _run(bench, run_id).result == {"first": "s:1"}


def test_failed_step_can_be_caught_and_fails_the_run_otherwise(bench: Bench) -> None:
    @flow("careful", params=Nothing)
    def careful(ctx: FlowContext, params: Nothing) -> dict[str, Any]:
        try:
            ctx.call("a", fleet_noop.TASK, fleet_noop.Request())
        except StepFailed as failed:
            return {"caught": failed.error}
        return {}

    run_id = bench.start("careful")
    (posting,) = bench.publish()
    grant = bench.granted(posting.ticket)
    failure = Report(
        step=grant.step, attempt=1, token=grant.token, worker="one", failure=Failure.PERMANENT, error="no"
    )
    bench.write(record_report, failure)
    bench.engine.advance(run_id)
    assert _run(bench, run_id).result == {"caught": "no"}


def test_cancelled_run_takes_no_result_and_withdraws_its_question(bench: Bench) -> None:
    run_id = bench.start(steps=1)
    (posting,) = bench.publish()
    grant = bench.granted(posting.ticket)
    bench.write(cancel_run, run_id, by="me")
    with pytest.raises(StaleToken):
        bench.write(record_report, result_of(grant))
    assert bench.read(lambda c: c.execute(select(func.count()).select_from(outcomes)).scalar()) == 1


def test_retry_takes_a_failed_run_up_where_it_failed(bench: Bench) -> None:
    run_id = bench.start(steps=2)
    first, second = bench.publish()
    bench.write(record_report, result_of(bench.granted(first.ticket)))
    grant = bench.granted(second.ticket)
    failure = Report(
        step=grant.step, attempt=1, token=grant.token, worker="one", failure=Failure.PERMANENT, error="no"
    )
    bench.write(record_report, failure)
    bench.engine.advance(run_id)
    assert _run(bench, run_id).state == "failed"
    assert bench.write(retry_run, run_id, by="me") == 1
    _work(bench, run_id)
    assert _run(bench, run_id).state == "done"
    assert bench.step(first.ticket.step).attempt == 1


def test_a_question_is_decided_once_of_many_at_the_same_time(bench: Bench) -> None:
    _whole_flow(bench)
    run_id = bench.start("whole")
    _work(bench, run_id)
    (asked,) = bench.read(list_approvals)
    decided, refused = [], []

    def answer(number: int) -> None:
        try:
            decided.append(
                bench.write(
                    decide,
                    asked.id,
                    approve=number % 2 == 0,
                    voter=_voter(f"p{number}"),
                    policy=Policy(),
                    note="because",
                )
            )
        except Refused as error:
            refused.append(str(error))

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decided) == 1
    assert len(refused) == 7
    assert all("already" in text for text in refused)


def test_rejection_needs_a_reason_and_silence_denies(bench: Bench) -> None:
    _whole_flow(bench)
    run_id = bench.start("whole")
    _work(bench, run_id)
    (asked,) = bench.read(list_approvals)
    with pytest.raises(InvalidInput, match="reason"):
        bench.write(decide, asked.id, approve=False, voter=ME, policy=Policy(), note=" ")
    with pytest.raises(Refused, match="superseded"):
        bench.write(decide, asked.id, approve=True, voter=ME, policy=Policy(), note="", digest="0" * 64)
    bench.pass_by(8 * 86400)
    with pytest.raises(Refused, match="expired"):
        bench.write(decide, asked.id, approve=True, voter=ME, policy=Policy(), note="")
    assert bench.write(expire_approvals, policy=Policy()) == 1
    _work(bench, run_id)
    assert _run(bench, run_id).result["approved"] is False


def test_a_write_that_fails_does_not_hurt_the_others_of_its_group(bench: Bench) -> None:
    writer = Writer(bench.database)
    hold = threading.Event()
    first = writer.submit(lambda _: hold.wait(20))
    fine = [writer.submit(lambda c: record_event(c, "kept", bench.now)) for _ in range(5)]
    bad = writer.submit(lambda c: (record_event(c, "undone", bench.now), 1 / 0))
    hold.set()
    assert first.result(20)
    for future in fine:
        future.result(20)
    with pytest.raises(ZeroDivisionError):
        bad.result(20)
    writer.close()
    assert (_count(bench, "kept"), _count(bench, "undone")) == (5, 0)

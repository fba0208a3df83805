"""A run taken up again from a step: what others wait for, what was paid, what is under way, and crashes."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from master.approvals import abandon, execute, list_approvals
from master.dispatch.claims import record_report
from master.dispatch.reap import reap_leases
from master.events import record_event
from master.flows import ApprovalType, FlowContext, Question, flow
from master.flows.again import TakenUp, retry_from_step
from master.flows.runs import start_run
from master.ledger.spending import ReservationState
from master.ledger.tables import ledger_reservations
from master.store.tables import events
from tasks import fleet_noop
from tasks.errors import NotFound, Refused, StaleToken
from tests.integration.core.conftest import Bench, result_of
from tests.integration.core.long_run import (
    ME,
    Nothing,
    answer,
    asked,
    count_event,
    count_outcomes,
    failed_at_the_end,
    long_flow,
    rows,
    run_of,
    started,
    work,
)


@pytest.fixture(autouse=True)
def _own_flows(bench: Bench) -> Iterator[None]:
    with long_flow(bench):
        yield


def test_a_question_that_another_run_waits_for_too_stays_open_for_it(bench: Bench) -> None:
    @flow("joins", params=Nothing)
    def joins(ctx: FlowContext, params: Nothing) -> dict[str, Any]:
        ctx.call("first", fleet_noop.TASK, fleet_noop.Request())
        question = Question(
            type=ApprovalType.DESIGN_DECISION, title="Which?", reason="Because.", need="which"
        )
        return {"approved": ctx.ask("which", question).approved}

    first, second = bench.write(start_run, "joins", {}), bench.write(start_run, "joins", {})
    work(bench, first)
    work(bench, second)
    assert asked(bench) == {"Which?": ["pending"]}
    bench.write(retry_from_step, first, "first", by="me")
    (one,) = bench.read(list_approvals)
    assert (one.state, one.run_id) == ("pending", second)
    work(bench, first)
    answer(bench)
    for run_id in (first, second):
        work(bench, run_id)
        assert run_of(bench, run_id).result == {"approved": True}


def test_what_was_paid_is_never_undone(bench: Bench) -> None:
    run_id = started(bench)
    for _ in range(2):
        work(bench, run_id)
        answer(bench)
    paid = next(one for one in bench.read(list_approvals) if one.title == "After?")
    work(bench, run_id, fails="last")
    with pytest.raises(Refused, match=rf"d8 approval done {paid.id}"):
        bench.write(retry_from_step, run_id, "middle", by="me")
    bench.write(execute, paid.id, actual=None, voter=ME, reference="R1", note="")
    before = rows(bench, run_id), run_of(bench, run_id)
    with pytest.raises(Refused, match=r"5\.00 EUR was paid"):
        bench.write(retry_from_step, run_id, "middle", by="me")
    assert (rows(bench, run_id), run_of(bench, run_id)) == before, "a refusal changes nothing"
    assert bench.write(retry_from_step, run_id, "last", by="me").aside == 1, "that came later"
    work(bench, run_id)
    assert run_of(bench, run_id).state == "done"


def test_what_was_abandoned_is_free_to_be_asked_again(bench: Bench) -> None:
    run_id = started(bench)
    for _ in range(2):
        work(bench, run_id)
        answer(bench)
    work(bench, run_id, fails="last")
    approved = next(one for one in bench.read(list_approvals) if one.title == "After?")
    bench.write(abandon, approved.id, voter=ME, reason="first again")
    bench.write(retry_from_step, run_id, "middle", by="me")
    work(bench, run_id)
    answer(bench)
    work(bench, run_id)
    assert run_of(bench, run_id).state == "done"
    held = bench.read(lambda c: c.execute(select(ledger_reservations.c.state)).scalars().all())
    assert sorted(held) == [ReservationState.HELD, ReservationState.RELEASED]


def test_a_step_in_progress_is_stopped_and_its_late_result_refused(bench: Bench) -> None:
    run_id = started(bench)
    bench.engine.advance(run_id)
    first, second = bench.publish()
    grant = bench.granted(first.ticket, claim="claim-0000001")
    key = grant.key
    assert bench.write(retry_from_step, run_id, key, by="me") == TakenUp(aside=1, again=0)
    with pytest.raises(StaleToken):
        bench.write(record_report, result_of(grant))
    bench.write(record_report, result_of(bench.granted(second.ticket, claim="claim-0000002")))
    work(bench, run_id)
    assert {"a:0", "a:1", f"{key}#aside-{grant.step}", "before"} == set(rows(bench, run_id))
    assert run_of(bench, run_id).state == "waiting"


def test_a_pass_that_still_knows_what_is_set_aside_does_not_count(bench: Bench) -> None:
    @flow("stale", params=Nothing)
    def stale(ctx: FlowContext, params: Nothing) -> dict[str, Any]:
        echo = ctx.call("first", fleet_noop.TASK, fleet_noop.Request()).echo
        if bench_hook:
            bench_hook.pop()()
        ctx.act("act", lambda connection: record_event(connection, f"saw {echo}", bench.now))
        return {"echo": echo}

    run_id = bench.write(start_run, "stale", {})
    bench_hook = [lambda: bench.write(retry_from_step, run_id, "first", by="me")]
    work(bench, run_id)
    assert not bench_hook
    work(bench, run_id)
    names = bench.read(lambda c: c.execute(select(events.c.name).where(events.c.name.like("saw%")))).all()
    result = run_of(bench, run_id).result
    assert [row.name for row in names] == [f"saw {result['echo']}"], "the old result was acted on by nobody"
    assert result["echo"] == f"first {rows(bench, run_id)['first'].id}"


def test_of_several_at_the_same_moment_one_takes_it_up(bench: Bench) -> None:
    run_id = failed_at_the_end(bench)
    taken, refused = [], []

    def take() -> None:
        try:
            taken.append(bench.write(retry_from_step, run_id, "middle", by="me"))
        except (Refused, NotFound) as error:
            refused.append(error)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), len(refused)) == (1, 3)
    assert sum("#aside-" in key for key in rows(bench, run_id)) == 4


class _Crash(BaseException):
    pass


class _Failing:
    """A write that does everything and is killed before its commit."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __enter__(self) -> Any:
        return self._inner.__enter__()

    def __exit__(self, *exc: Any) -> Any:
        self._inner.__exit__(_Crash, _Crash(), None)
        raise _Crash


def test_a_crash_at_any_write_of_a_retry_changes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The n-th commit fails, for every n: the repetition comes to the same result, and no act is lost or doubled."""
    real = type(bench.database).write
    crashes = 0
    for crash_at in range(1, 40):
        run_id = failed_at_the_end(bench)
        acted = count_event(bench, "acted")
        seen = itertools.count(1)

        def failing(self: Any, *, durable: bool = True, seen: Any = seen, at: int = crash_at) -> Any:
            return _Failing(real(self, durable=durable)) if next(seen) == at else real(self, durable=durable)

        monkeypatch.setattr(type(bench.database), "write", failing)
        try:
            _retry_to_the_end(bench, run_id)
            reached = False
        except _Crash:
            reached = True
            crashes += 1
        monkeypatch.setattr(type(bench.database), "write", real)
        bench.pass_by(70)
        bench.write(reap_leases)
        _retry_to_the_end(bench, run_id)
        assert run_of(bench, run_id).state == "done"
        assert count_event(bench, "acted") == acted + 1
        assert sum("#aside-" in key for key in rows(bench, run_id)) == 4
        assert count_outcomes(bench, run_id) == 11
        if not reached:
            break
    assert crashes >= 8


def _retry_to_the_end(bench: Bench, run_id: str) -> None:
    if run_of(bench, run_id).state == "failed":
        bench.write(retry_from_step, run_id, "middle", by="me")
    for _ in range(2):
        work(bench, run_id)
        answer(bench, yes=False)
    work(bench, run_id)

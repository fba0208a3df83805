"""A run is taken up again from one of its steps: what came of it is done anew, everything else stays."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from master.approvals import Policy, Voter, abandon, decide, execute, list_approvals
from master.capabilities import load_capabilities
from master.dispatch.claims import record_report
from master.dispatch.publish import ring_again
from master.dispatch.reap import reap_leases
from master.events import record_event
from master.flows import ApprovalType, FlowContext, Question, StepFailed, flow
from master.flows.again import TakenUp, retry_from_step
from master.flows.registry import _FLOWS
from master.flows.runs import cancel_run, start_run
from master.ledger.spending import ReservationState
from master.ledger.tables import ledger_reservations
from master.store.tables import carried, events, outcomes, runs, steps
from tasks import fleet_noop
from tasks.errors import MoveNotAllowed, NotFound, Refused, StaleToken
from tasks.protocol import Failure, Report
from tasks.record import Record
from tests.integration.core.conftest import Bench, result_of

ME = Voter(identity="token:me", name="me", door="test")


class Nothing(Record):
    pass


@pytest.fixture(autouse=True)
def _own_flows(bench: Bench) -> Iterator[None]:
    load_capabilities()
    before = dict(_FLOWS)

    @flow("long", params=Nothing)
    def long(ctx: FlowContext, params: Nothing) -> dict[str, Any]:
        """Two steps at once, a question, a step, an act, a payment, a step."""
        begun = [ctx.start(f"a:{n}", fleet_noop.TASK, fleet_noop.Request(echo=str(n))) for n in range(2)]
        ctx.gather(begun)
        ctx.ask("before", Question(type=ApprovalType.DESIGN_DECISION, title="Before?", reason="Because."))
        middle = ctx.call("middle", fleet_noop.TASK, fleet_noop.Request(echo="m"))
        ctx.act("act", lambda connection: record_event(connection, "acted", bench.now))
        after = Question(type=ApprovalType.PAYMENT, title="After?", reason="Because.", cost_minor=500)
        ctx.ask("after", after)
        ctx.call("last", fleet_noop.TASK, fleet_noop.Request(echo="l"))
        return {"middle": middle.echo}

    yield
    _FLOWS.clear()
    _FLOWS.update(before)


def work(bench: Bench, run_id: str, *, fails: str = "", leave: str = "") -> None:
    """Run what is ready, and pass after pass, until nothing moves; time goes on from one to the next. The step
    of key ``fails`` fails for good, that of key ``leave`` is claimed and left running."""
    for number in itertools.count():
        bench.pass_by(1)
        bench.engine.advance(run_id)
        postings = bench.publish() + bench.write(ring_again, ring_again_s=5.0)
        if not postings:
            return
        for posting in postings:
            grant = bench.granted(posting.ticket, claim=f"claim-{number}-{posting.ticket.step}")
            bench.pass_by(1)
            if grant.key == leave:
                continue
            report = result_of(grant, f"{grant.key} {grant.step}")
            if grant.key == fails:
                report = Report(
                    step=grant.step,
                    attempt=grant.attempt,
                    token=grant.token,
                    worker="one",
                    failure=Failure.PERMANENT,
                    error="no",
                )
            bench.write(record_report, report)


def answer(bench: Bench, *, yes: bool = True) -> None:
    for one in bench.read(list_approvals):
        if one.state == "pending":
            bench.write(decide, one.id, approve=yes, voter=ME, policy=Policy(), note="because")


def run_of(bench: Bench, run_id: str) -> Any:
    return bench.read(lambda c: c.execute(select(runs).where(runs.c.id == run_id)).one())


def rows(bench: Bench, run_id: str) -> dict[str, Any]:
    found = bench.read(lambda c: c.execute(select(steps).where(steps.c.run_id == run_id)).all())
    return {row.key: row for row in found}


def asked(bench: Bench) -> dict[str, list[str]]:
    """Title -> the states of all requests of that title, in the order in which they were made."""
    found: dict[str, list[str]] = {}
    for one in bench.read(list_approvals):
        found.setdefault(one.title, []).append(str(one.state))
    return found


def count_event(bench: Bench, name: str) -> int:
    return int(
        bench.read(lambda c: c.execute(select(func.count()).where(events.c.name == name)).scalar_one())
    )


def count_outcomes(bench: Bench, run_id: str) -> int:
    query = select(func.count()).where(outcomes.c.run_id == run_id)
    return int(bench.read(lambda c: c.execute(query).scalar_one()))


def started(bench: Bench) -> str:
    bench.pass_by(1)
    run_id: str = bench.write(start_run, "long", {})
    return run_id


def failed_at_the_end(bench: Bench) -> str:
    """A run whose payment was rejected, and whose last step then failed."""
    run_id = started(bench)
    work(bench, run_id)
    answer(bench)
    work(bench, run_id)
    answer(bench, yes=False)
    work(bench, run_id, fails="last")
    assert run_of(bench, run_id).state == "failed"
    return run_id


def test_what_came_of_the_step_is_done_anew_and_what_was_before_it_is_not(bench: Bench) -> None:
    run_id = failed_at_the_end(bench)
    before = rows(bench, run_id)
    # middle, act, after and last
    assert bench.write(retry_from_step, run_id, "middle", by="me") == TakenUp(aside=4, again=0)
    assert run_of(bench, run_id).state == "running"
    work(bench, run_id)
    assert asked(bench) == {"Before?": ["approved"], "After?": ["rejected", "pending"]}
    answer(bench, yes=False)
    work(bench, run_id)

    after = rows(bench, run_id)
    assert run_of(bench, run_id).result == {"middle": f"middle {after['middle'].id}"}
    for key in ("a:0", "a:1", "before"):
        assert (after[key].id, after[key].attempt) == (before[key].id, before[key].attempt)
    for key in ("middle", "act", "after", "last"):
        assert after[key].id != before[key].id
        kept = after[f"{key}#aside-{before[key].id}"]
        assert (kept.id, kept.state, kept.result) == (before[key].id, before[key].state, before[key].result)
    assert count_event(bench, "acted") == 2


def test_a_step_that_nothing_came_of_is_taken_up_alone(bench: Bench) -> None:
    run_id = failed_at_the_end(bench)
    assert bench.write(retry_from_step, run_id, "last", by="me") == TakenUp(aside=1, again=0)
    work(bench, run_id)
    assert run_of(bench, run_id).state == "done"
    assert asked(bench) == {"Before?": ["approved"], "After?": ["rejected"]}
    assert count_event(bench, "acted") == 1


def test_from_the_first_step_its_neighbor_of_the_same_pass_stays(bench: Bench) -> None:
    run_id = failed_at_the_end(bench)
    neighbor = rows(bench, run_id)["a:1"].id
    bench.write(retry_from_step, run_id, "a:0", by="me")
    work(bench, run_id)
    assert rows(bench, run_id)["a:1"].id == neighbor
    assert asked(bench)["Before?"] == ["approved", "pending"]


def test_an_act_is_where_a_run_can_be_taken_up_too(bench: Bench) -> None:
    run_id = failed_at_the_end(bench)
    assert bench.write(retry_from_step, run_id, "act", by="me").aside == 3
    work(bench, run_id)
    assert count_event(bench, "acted") == 2


def test_a_pending_question_is_withdrawn_and_asked_as_a_new_one(bench: Bench) -> None:
    run_id = started(bench)
    work(bench, run_id)
    assert bench.write(retry_from_step, run_id, "a:0", by="me").aside == 2
    assert asked(bench) == {"Before?": ["cancelled"]}
    work(bench, run_id)
    assert asked(bench) == {"Before?": ["cancelled", "pending"]}
    answer(bench)
    work(bench, run_id)
    assert run_of(bench, run_id).state == "waiting"


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


def test_others_that_failed_or_were_cancelled_with_the_run_are_tried_again(bench: Bench) -> None:
    @flow("wide", params=Nothing)
    def wide(ctx: FlowContext, params: Nothing) -> dict[str, Any]:
        begun = [ctx.start(f"w:{n}", fleet_noop.TASK, fleet_noop.Request()) for n in range(3)]
        return {"steps": len(ctx.gather(begun))}

    run_id = bench.write(start_run, "wide", {})
    work(bench, run_id, fails="w:1", leave="w:2")
    assert run_of(bench, run_id).state == "failed"
    assert bench.write(retry_from_step, run_id, "w:0", by="me") == TakenUp(aside=1, again=2)
    work(bench, run_id)
    assert run_of(bench, run_id).result == {"steps": 3}


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


def test_a_failure_that_was_tried_again_had_been_known_before(bench: Bench) -> None:
    """What a flow did about a first failure came of that step, although it has ended again since."""
    from master.flows.runs import retry_run

    @flow("mends", params=Nothing)
    def mends(ctx: FlowContext, params: Nothing) -> dict[str, Any]:
        try:
            ctx.call("broken", fleet_noop.TASK, fleet_noop.Request())
        except StepFailed:
            ctx.call("instead", fleet_noop.TASK, fleet_noop.Request())
            raise
        return {}

    run_id = bench.write(start_run, "mends", {})
    work(bench, run_id, fails="broken")
    bench.write(retry_run, run_id, by="me")
    work(bench, run_id, fails="broken")
    assert run_of(bench, run_id).state == "failed"
    assert bench.write(retry_from_step, run_id, "broken", by="me").aside == 2


def test_only_a_run_that_may_go_on_is_taken_up_and_only_from_a_step_that_counts(bench: Bench) -> None:
    run_id = failed_at_the_end(bench)
    with pytest.raises(NotFound, match="nowhere"):
        bench.write(retry_from_step, run_id, "nowhere", by="me")
    with pytest.raises(NotFound, match="d8 run list"):
        bench.write(retry_from_step, "none", "last", by="me")
    old = rows(bench, run_id)["last"].id
    bench.write(retry_from_step, run_id, "last", by="me")
    with pytest.raises(NotFound, match="aside"):
        bench.write(retry_from_step, run_id, f"last#aside-{old}", by="me")
    work(bench, run_id)
    with pytest.raises(MoveNotAllowed, match="done"):
        bench.write(retry_from_step, run_id, "last", by="me")
    other = started(bench)
    work(bench, other)
    bench.write(cancel_run, other, by="me")
    with pytest.raises(MoveNotAllowed, match="cancelled"):
        bench.write(retry_from_step, other, "a:0", by="me")


def test_a_run_that_carries_what_it_learned_cannot_forget_a_step(bench: Bench) -> None:
    run_id = failed_at_the_end(bench)
    with bench.database.write() as connection:
        connection.execute(insert(carried).values(run_id=run_id, state=""))
    with pytest.raises(Refused, match="carries"):
        bench.write(retry_from_step, run_id, "last", by="me")


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

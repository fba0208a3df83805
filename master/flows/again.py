"""A run taken up again from one of its steps: that step and all that may have come of it are asked for anew."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Text, cast, exists, func, select, update

from master.approvals.expire import withdraw_questions
from master.approvals.records import ApprovalState
from master.approvals.tables import approval_steps, approvals
from master.dispatch.finish import record_outcome
from master.dispatch.states import OPEN_RUNS, OPEN_STEPS, RunState, StepKind, StepState, check_run_move
from master.dispatch.wake import wake_run
from master.events import record_event
from master.flows.failed import try_failed_again
from master.flows.runs import get_run
from master.flows.succession import ASIDE, StepTimes, came_of, is_aside
from master.ledger.money import format_money
from master.store import news_of
from master.store.tables import attempts, carried, events, runs, steps
from tasks.errors import NotFound, Refused

#: Names in one statement.
_MOST = 500


@dataclasses.dataclass(frozen=True, kw_only=True)
class TakenUp:
    """What a retry from a step did."""

    #: Steps that are asked for anew: the named one and what may have come of it.
    aside: int
    #: Other steps of the run that had failed, and get a new attempt.
    again: int


def retry_from_step(connection: Connection, run_id: str, key: str, *, by: str, now: datetime) -> TakenUp:
    """Take the run up again as if ``key`` had not been asked for yet.

    That step and what may have come of it (``succession``) are set aside: they stay for people to see, under
    another key, and no pass loads them any more. The next pass asks for them anew; what the run does itself (an
    act) is done anew, and a question is asked anew. What ended before is neither run nor asked again. Whatever
    else had failed is tried again, as by ``retry_run``.

    ``NotFound``: no such run or step. ``MoveNotAllowed``: the run has ended well, or was cancelled. ``Refused``:
    money was spent on what came of the step, or is approved and may be being spent; or the run carries what it has
    learned, and cannot unlearn a part.
    """
    run = get_run(connection, run_id)
    if run.state not in OPEN_RUNS:
        check_run_move(run_id, RunState(run.state), RunState.RUNNING)
    _require_not_carried(connection, run_id)
    _take(connection, run)
    aside = [step.id for step in _find_aside(connection, run_id, key)]
    for part in _parts(aside):
        _require_no_money(connection, run_id, key, part, lock=True)
        withdraw_questions(connection, run_id, part, note="its run was taken up again further back", now=now)
        _set_aside(connection, run_id, part, now)
    again = try_failed_again(connection, run_id)
    record_event(
        connection, "run_retried", now, run_id=run_id, by=by, steps=len(aside) + again, from_step=key[:200]
    )
    wake_run(connection, run_id, now)
    news_of(connection).dispatch = True
    return TakenUp(aside=len(aside), again=again)


def plan_retry(connection: Connection, run_id: str, key: str) -> list[StepTimes]:
    """What ``retry_from_step`` would do anew, in the order in which it was asked for; raises as that would. Nothing
    is changed or locked: what is decided meanwhile counts."""
    run = get_run(connection, run_id)
    if run.state not in OPEN_RUNS:
        check_run_move(run_id, RunState(run.state), RunState.RUNNING)
    _require_not_carried(connection, run_id)
    aside = _find_aside(connection, run_id, key)
    for part in _parts([step.id for step in aside]):
        _require_no_money(connection, run_id, key, part, lock=False)
    return aside


def _require_not_carried(connection: Connection, run_id: str) -> None:
    if connection.execute(select(exists().where(carried.c.run_id == run_id))).scalar():
        raise Refused(
            f"run {run_id} carries what it has learned from its steps, and cannot forget one of them: "
            f"'d8 run retry {run_id}' goes on from a failure, and a new run begins anew"
        )


def _take(connection: Connection, run: Row[Any]) -> None:
    """Make this the one that decides: a pass in flight, which still knows what is set aside, does not count."""
    taken = connection.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.version == run.version, runs.c.state == run.state)
        .values(version=runs.c.version + 1, state=RunState.RUNNING, error="", finished_at=None, costed=False)
    )
    if taken.rowcount == 0:
        raise Refused(f"run {run.id} went on in this very moment: look at it again, and then try again")


def _find_aside(connection: Connection, run_id: str, key: str) -> list[StepTimes]:
    """The step of this key and all that may have come of it."""
    found = None if is_aside(key) else _read_times(connection, run_id, steps.c.key == key)
    if not found:
        raise NotFound(
            f"run {run_id} has no step {key[:80]!r} that counts: 'd8 run show {run_id}' lists its steps"
        )
    first = _as_first_known(connection, run_id, found[0])
    if first.ended_at is None:
        return [first]
    later = (steps.c.id > first.id) & (steps.c.created_at >= first.ended_at)
    candidates = _read_times(connection, run_id, later)
    return came_of(first, [first, *(step for step in candidates if not is_aside(step.key))])


def _read_times(connection: Connection, run_id: str, which: ColumnElement[bool]) -> list[StepTimes]:
    columns = (steps.c.id, steps.c.key, steps.c.kind, steps.c.created_at, steps.c.finished_at)
    query = select(*columns).where(steps.c.run_id == run_id, which).order_by(steps.c.id)
    return [
        StepTimes(
            id=row.id,
            key=row.key,
            kind=StepKind(row.kind),
            created_at=row.created_at,
            ended_at=row.finished_at,
        )
        for row in connection.execute(query)
    ]


def _as_first_known(connection: Connection, run_id: str, step: StepTimes) -> StepTimes:
    """A step that was tried again by a human had an earlier end, of which passes knew."""
    retried = (events.c.run_id == run_id) & (events.c.name == "run_retried")
    if (
        step.ended_at is None
        or connection.execute(select(events.c.seq).where(retried).limit(1)).scalar() is None
    ):
        return step
    query = select(func.min(attempts.c.ended_at)).where(attempts.c.step_id == step.id)
    first_end = connection.execute(query).scalar()
    return dataclasses.replace(step, ended_at=min(step.ended_at, first_end or step.ended_at))


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + _MOST] for start in range(0, len(ids), _MOST))


def _require_no_money(
    connection: Connection, run_id: str, key: str, step_ids: Sequence[int], *, lock: bool
) -> None:
    """What was paid is never undone, and what is approved may be being paid at this moment."""
    asked = (
        select(approvals)
        .join(approval_steps, approval_steps.c.approval_id == approvals.c.id)
        .where(approval_steps.c.step_id.in_(step_ids))
    )
    # Locked where rows are: an answer that comes now waits until this is over.
    for row in connection.execute(asked.with_for_update(of=approvals) if lock else asked):
        cost = format_money(row.cost_minor if row.actual_minor is None else row.actual_minor, row.currency)
        if row.state == ApprovalState.EXECUTED and (row.cost_minor or row.actual_minor):
            raise Refused(
                f"run {run_id} cannot be taken up again from step {key!r}: request {row.id} ({row.title}) came after "
                f"it and {cost} was paid for it. Choose a later step, or start a new run"
            )
        if row.state == ApprovalState.APPROVED and row.execute_by is not None:
            raise Refused(
                f"run {run_id} cannot be taken up again from step {key!r}: request {row.id} ({row.title}) came after "
                f"it, is approved and may be being done. First say that it is done ('d8 approval done {row.id}') or "
                f"will not be ('d8 approval abandon {row.id}')"
            )


def _set_aside(connection: Connection, run_id: str, step_ids: Sequence[int], now: datetime) -> None:
    """Open ones are cancelled, so that their workers stop and a late result is refused; none is loaded again."""
    cancelled = connection.execute(
        update(steps)
        .where(steps.c.id.in_(step_ids), steps.c.state.in_(OPEN_STEPS))
        .values(
            state=StepState.CANCELLED,
            lease_until=None,
            ring_at=None,
            finished_at=now,
            error="its run was taken up again further back",
        )
        .returning(steps.c.id, steps.c.attempt)
    ).all()
    for step in cancelled:
        record_outcome(connection, step.id, run_id, step.attempt, StepState.CANCELLED, now)
    # One statement names them all: the number in each key is the step's own.
    key = steps.c.key + ASIDE + cast(steps.c.id, Text)
    connection.execute(
        update(steps).where(steps.c.id.in_(step_ids)).values(key=key, folded=True, awaited=False)
    )

"""The master's part of each step's trace, told when the step has ended, from what the database has of it. So
claims and reports are not slowed, and a step that outlives a restart of the master has its whole trace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from master.dispatch.states import StepKind, StepState
from master.store import Database
from master.store.tables import attempts, fleet, outcomes, steps
from tasks.tracing import Moment, Span, Tracer, nanoseconds, span_of, trace_of

#: In the table ``fleet``: the number of the last outcome that was told.
_TOLD = "traced_seq"
_MOST = 200
_FLUSH_S = 10.0


def begin_traces(connection: Connection) -> None:
    """What ends from now on is told: noted before any part runs, so that the first step is not missed."""
    if _told(connection) is None:
        _note(connection, connection.execute(select(func.max(outcomes.c.seq))).scalar() or 0)


def tell_traces(database: Database, tracer: Tracer) -> int:
    """The traces of steps that have ended since the last time; returns how many were told. Those from before
    tracing was turned on are left out; what a collector did not take in time is told again."""
    with database.read() as connection:
        told = _told(connection)
        newest = connection.execute(select(func.max(outcomes.c.seq))).scalar() or 0
        rows = _ended_after(connection, told) if told is not None else []
        tried = _attempts_of(connection, [row.id for row in rows])
    for row in rows:
        for span in step_spans(row, tried[row.id]):
            tracer.emit(span)
    # Told before it is noted: after a crash between the two the same spans, with the same ids, are sent again.
    if rows and not tracer.flush(_FLUSH_S):
        return 0
    if rows or told is None:
        with database.write(durable=False) as connection:
            _note(connection, rows[-1].seq if rows else newest)
    return len(rows)


def step_spans(step: Row[Any], tried: Sequence[Row[Any]]) -> Iterator[Span]:
    """The step from its creation to its outcome; for each attempt the time in which it waited, and that in which a
    worker had it."""
    trace, root = trace_of(step.run_id, step.id), span_of("step", step.run_id, step.id)
    ids: dict[str, str | int] = {"d8.run": step.run_id, "d8.step": step.id, "d8.task": step.task}
    moments = [Moment(name="created", at_ns=nanoseconds(step.created_at))]
    waits_from = step.created_at
    for each in tried:
        of_attempt = ids | {"d8.attempt": each.attempt}
        at = {**of_attempt, "d8.worker": each.worker, "d8.build": each.build}
        ended_at = each.ended_at or step.finished_at
        moments.append(Moment(name="claimed", at_ns=nanoseconds(each.claimed_at), attributes=at))
        yield Span(
            name="queued",
            trace=trace,
            id=span_of("queued", step.run_id, step.id, each.attempt),
            parent=root,
            started_ns=nanoseconds(min(waits_from, each.claimed_at)),
            ended_ns=nanoseconds(each.claimed_at),
            attributes=of_attempt | {"d8.lane": step.lane},
        )
        yield Span(
            name="attempt",
            trace=trace,
            id=span_of("attempt", step.run_id, step.id, each.attempt),
            parent=root,
            started_ns=nanoseconds(each.claimed_at),
            ended_ns=nanoseconds(ended_at),
            attributes={**at, "d8.outcome": each.outcome},
            failed=each.outcome not in ("", StepState.DONE),
        )
        waits_from = ended_at
    moments.append(Moment(name="result", at_ns=nanoseconds(step.finished_at)))
    yield Span(
        name=step.task,
        trace=trace,
        id=root,
        parent=0,
        started_ns=nanoseconds(step.created_at),
        ended_ns=nanoseconds(step.finished_at),
        attributes={**ids, "d8.state": step.state, "d8.lane": step.lane},
        failed=step.state != StepState.DONE,
        moments=moments,
    )


def _told(connection: Connection) -> int | None:
    value = connection.execute(select(fleet.c.value).where(fleet.c.name == _TOLD)).scalar()
    return int(value) if value else None


def _note(connection: Connection, seq: int) -> None:
    values = {"name": _TOLD, "value": str(seq)}
    if not connection.execute(update(fleet).where(fleet.c.name == _TOLD).values(values)).rowcount:
        connection.execute(fleet.insert().values(values))


def _ended_after(connection: Connection, seq: int) -> Sequence[Row[Any]]:
    shown = ("id", "run_id", "task", "lane", "created_at", "finished_at")
    query = (
        select(outcomes.c.seq, outcomes.c.state, *(steps.c[name] for name in shown))
        .join(steps, steps.c.id == outcomes.c.step_id)
        .where(outcomes.c.seq > seq, steps.c.kind == StepKind.TASK, steps.c.finished_at.is_not(None))
        .order_by(outcomes.c.seq)
        .limit(_MOST)
    )
    return connection.execute(query).all()


def _attempts_of(connection: Connection, step_ids: list[int]) -> dict[int, list[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = defaultdict(list)
    query = select(attempts).where(attempts.c.step_id.in_(step_ids)).order_by(attempts.c.attempt)
    for row in connection.execute(query) if step_ids else ():
        found[row.step_id].append(row)
    return found

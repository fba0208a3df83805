"""Executions in the database: each time that a schedule was due, or was started by hand."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from master.dispatch.states import OPEN_RUNS
from master.events import record_event
from master.flows.runs import cancel_run, start_run
from master.schedules.records import KEPT, OPEN, Execution, ExecutionState
from master.schedules.tables import executions
from master.store.order import later_of
from master.store.tables import runs
from tasks.errors import NotFound, Refused

#: The run's state, where there is a run.
_shown_state = func.coalesce(runs.c.state, executions.c.state)
_INSERT = {
    name: dialect.insert(executions).on_conflict_do_nothing(index_elements=["schedule_id", "due_at"])
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}


def start_execution(
    connection: Connection, schedule: Row[Any], due_at: datetime, *, origin: str, now: datetime
) -> str | None:
    """Start what the schedule is for, once for this moment: its id, or None when it was there already. A duty is
    made ready, and done after this transaction."""
    execution_id = _insert(connection, schedule, due_at, ExecutionState.READY, origin=origin, now=now)
    if execution_id is None:
        return None
    values: dict[str, Any] = {}
    if schedule.flow:
        values["run_id"] = start_run(
            connection,
            schedule.flow,
            schedule.params,
            now=now,
            idempotency_key=f"schedule:{execution_id}",
            by=schedule.created_by if origin == "clock" else origin,
        )
        # All that it had to do itself; from here on its run's state is shown.
        values |= {"state": ExecutionState.DONE, "started_at": now}
        connection.execute(update(executions).where(executions.c.id == execution_id).values(**values))
    record_event(
        connection, "execution_started", now, run_id=values.get("run_id", ""), schedule=schedule.name,
        execution=execution_id, by=origin,
    )  # fmt: skip
    return execution_id


def leave_out(
    connection: Connection,
    schedule: Row[Any],
    due_at: datetime,
    *,
    state: ExecutionState,
    why: str,
    now: datetime,
) -> None:
    """Write down that it was due and was not started."""
    if _insert(connection, schedule, due_at, state, origin="clock", now=now, note=why, finished_at=now):
        record_event(connection, f"execution_{state}", now, schedule=schedule.name, why=why[:500])


def _insert(
    connection: Connection, schedule: Row[Any], due_at: datetime, state: ExecutionState, *, origin: str,
    now: datetime, **more: Any,
) -> str | None:  # fmt: skip
    execution_id = f"exe-{secrets.token_hex(6)}"
    values = {
        "id": execution_id, "schedule_id": schedule.id, "schedule": schedule.name, "due_at": due_at,
        "origin": origin, "state": state, "duty": schedule.duty, "run_id": "", "note": "", "created_at": now,
    }  # fmt: skip
    inserted = connection.execute(_INSERT[connection.dialect.name].values(**(values | more)))
    return execution_id if inserted.rowcount else None


def find_open(connection: Connection, schedule_id: str) -> str:
    """What of this schedule still goes on: its run's id or its own; "" when nothing does."""
    mine = executions.c.schedule_id == schedule_id
    running = (
        select(runs.c.id)
        .join(executions, executions.c.run_id == runs.c.id)
        .where(mine, runs.c.state.in_(OPEN_RUNS))
    )
    at_work = select(executions.c.id).where(mine, executions.c.state.in_(OPEN))
    found = connection.execute(running.limit(1)).scalar() or connection.execute(at_work.limit(1)).scalar()
    return str(found or "")


def get_execution(connection: Connection, execution_id: str) -> Execution:
    """``NotFound`` says how to list them."""
    row = connection.execute(_query().where(executions.c.id == execution_id)).first()
    if row is None:
        raise NotFound(f"there is no execution {execution_id[:60]!r}: 'd8 schedule executions' shows them")
    return _execution(row)


def list_executions(
    connection: Connection,
    *,
    schedule: str = "",
    state: ExecutionState | None = None,
    limit: int = 100,
    after: tuple[datetime, str] | None = None,
) -> list[Execution]:
    """Newest first; ``after``: those behind the one of this time and id."""
    query = _query().order_by(executions.c.created_at.desc(), executions.c.id).limit(limit)
    if schedule:
        query = query.where(executions.c.schedule == schedule)
    if state is not None:
        query = query.where(_shown_state == state)
    if after is not None:
        order = later_of((executions.c.created_at, "desc"), (executions.c.id, "asc"), after=after)
        query = query.where(order)
    return [_execution(row) for row in connection.execute(query)]


def latest_executions(connection: Connection, schedule_ids: Collection[str]) -> dict[str, Execution]:
    """The newest of each schedule that has any."""
    newest = (
        select(executions.c.schedule_id, func.max(executions.c.created_at).label("at"))
        .where(executions.c.schedule_id.in_(schedule_ids))
        .group_by(executions.c.schedule_id)
        .subquery()
    )
    query = _query(executions.c.schedule_id).join(
        newest,
        (newest.c.schedule_id == executions.c.schedule_id) & (newest.c.at == executions.c.created_at),
    )
    return {row.schedule_id: _execution(row) for row in connection.execute(query)}


def cancel_execution(connection: Connection, execution_id: str, *, by: str, now: datetime) -> Execution:
    """Stop it: its run is cancelled, a duty that has not begun is left out. ``Refused``: it is over, or is a duty in
    the middle of its work."""
    found = get_execution(connection, execution_id)
    if found.run_id:
        cancel_run(connection, found.run_id, by=by, now=now)
        return get_execution(connection, execution_id)
    ready = (executions.c.id == execution_id) & (executions.c.state == ExecutionState.READY)
    values = {"state": ExecutionState.CANCELLED, "finished_at": now, "note": f"cancelled by {by}"}
    if not connection.execute(update(executions).where(ready).values(**values)).rowcount:
        raise Refused(
            f"execution {execution_id} is {found.state}: only one that is not over can be cancelled"
        )
    record_event(
        connection, "execution_cancelled", now, schedule=found.schedule, execution=execution_id, by=by
    )
    return get_execution(connection, execution_id)


def forget_executions(connection: Connection, *, now: datetime) -> int:
    """Drop those of long ago that are over; returns how many. Their runs stay."""
    over = executions.c.state.not_in(OPEN)
    return connection.execute(delete(executions).where(executions.c.created_at < now - KEPT, over)).rowcount


_SHOWN = [executions.c[name] for name in Execution.model_fields if name not in ("state", "finished_at")]


def _query(*more: Any) -> Select[Any]:
    """Each with its run's state and end, where it has one."""
    return select(
        *_SHOWN,
        _shown_state.label("state"),
        func.coalesce(runs.c.finished_at, executions.c.finished_at).label("finished_at"),
        *more,
    ).select_from(executions.outerjoin(runs, runs.c.id == executions.c.run_id))


def _execution(row: Row[Any]) -> Execution:
    return Execution.model_validate({name: getattr(row, name) for name in Execution.model_fields})

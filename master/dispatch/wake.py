"""Waking a run: its next pass becomes due."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, exists, or_, select, true, update

from master.dispatch.states import OPEN_RUNS, OPEN_STEPS
from master.store import news_of
from master.store.tables import runs, steps
from master.store.types import one_of

_WAKE = (
    update(runs)
    .where(runs.c.id == bindparam("run"), one_of(runs.c.state, OPEN_RUNS))
    .values(wake=runs.c.wake + 1, woken_at=bindparam("now", type_=runs.c.woken_at.type))
)

_still_awaited = exists(
    select(steps.c.id).where(
        steps.c.run_id == bindparam("run"), steps.c.awaited.is_(true()), one_of(steps.c.state, OPEN_STEPS)
    )
)

_WAKE_IF_DUE = _WAKE.where(or_(runs.c.wake_on == "any", ~_still_awaited)).returning(runs.c.wake, runs.c.seen)


def wake_run(connection: Connection, run_id: str, now: datetime) -> None:
    """The run's next pass is due, whatever it waits for."""
    connection.execute(_WAKE, {"run": run_id, "now": now})
    news_of(connection).runs.add(run_id)


def wake_if_due(connection: Connection, run_id: str, now: datetime) -> None:
    """A step that the run awaits has ended well: the pass is due if it waits for any step, or if
    this was the last one that it awaits."""
    row = connection.execute(_WAKE_IF_DUE, {"run": run_id, "now": now}).first()
    if row is not None and row.wake == row.seen + 1:
        # Otherwise it was due already, and whoever made it due has rung.
        news_of(connection).runs.add(run_id)

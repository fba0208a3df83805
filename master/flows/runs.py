"""Runs: start, cancel, try again, end. (``master.flows.reading``: look.)"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, insert, select, update

from master.approvals.expire import cancel_approvals
from master.dispatch.finish import record_outcome
from master.dispatch.states import OPEN_STEPS, RunState, StepState, check_run_move
from master.dispatch.wake import wake_run
from master.events import record_event
from master.flows.failed import try_failed_again
from master.flows.reading import describe_run, get_run, list_attempts, list_runs, show_run
from master.flows.registry import get_flow
from master.store import news_of
from master.store.tables import runs, steps
from tasks.errors import InvalidInput

__all__ = [
    "cancel_run", "describe_run", "end_run", "get_run", "list_attempts", "list_runs", "retry_run", "show_run",
    "start_run",
]  # fmt: skip

_ALPHABET = "bcdfghjkmnpqrstvwxz23456789"


def start_run(
    connection: Connection,
    flow: str,
    params: dict[str, Any],
    *,
    now: datetime,
    priority: int = 0,
    idempotency_key: str = "",
    by: str = "",
) -> str:
    """Create a run whose first pass is due; returns its id. ``by``: the identity of who asked for it.
    The same idempotency key again returns the run that it made the first time."""
    try:
        checked = get_flow(flow).params.model_validate(params)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "params"
        raise InvalidInput(f"flow {flow!r} does not accept {where}: {first['msg']}") from None
    if idempotency_key:
        existing = connection.execute(
            select(runs.c.id).where(runs.c.idempotency_key == idempotency_key)
        ).scalar()
        if existing:
            return str(existing)
    run_id = f"{flow}-{''.join(secrets.choice(_ALPHABET) for _ in range(6))}"
    connection.execute(
        insert(runs).values(
            id=run_id,
            flow=flow,
            params=checked.model_dump(mode="json"),
            state=RunState.RUNNING,
            priority=priority,
            started_by=by,
            idempotency_key=idempotency_key or None,
            woken_at=now,
            created_at=now,
        )
    )
    record_event(connection, "run_started", now, run_id=run_id, flow=flow)
    news_of(connection).runs.add(run_id)
    return run_id


def end_run(
    connection: Connection,
    run_id: str,
    state: RunState,
    *,
    now: datetime,
    result: dict[str, Any] | None = None,
    error: str = "",
) -> None:
    """The run is over; what it still had open is cancelled."""
    old = RunState(get_run(connection, run_id).state)
    check_run_move(run_id, old, state)
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(
            state=state,
            result=result,
            error=error,
            finished_at=now,
            **({"progress": 1.0} if state is RunState.DONE else {}),
        )
    )
    _cancel_open_steps(connection, run_id, now)
    cancel_approvals(connection, run_id, now=now)
    record_event(connection, f"run_{state}", now, run_id=run_id, error=error[:500])
    news_of(connection).dispatch = True


def cancel_run(connection: Connection, run_id: str, *, by: str, now: datetime) -> None:
    """Stop the run; what workers still run of it is told to stop at its next renewal."""
    end_run(connection, run_id, RunState.CANCELLED, now=now, error=f"cancelled by {by}")


def retry_run(connection: Connection, run_id: str, *, by: str, now: datetime) -> int:
    """Take a failed run up again: its failed steps get a new attempt, finished ones stay. Returns
    how many steps are tried again."""
    check_run_move(run_id, RunState(get_run(connection, run_id).state), RunState.RUNNING)
    again = try_failed_again(connection, run_id)
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(state=RunState.RUNNING, error="", finished_at=None, costed=False)
    )
    record_event(connection, "run_retried", now, run_id=run_id, by=by, steps=again)
    wake_run(connection, run_id, now)
    news_of(connection).dispatch = True
    return again


def _cancel_open_steps(connection: Connection, run_id: str, now: datetime) -> None:
    """Running steps lose their token, so that a late result is refused; their workers hear of it at
    the next renewal."""
    cancelled = connection.execute(
        update(steps)
        .where(steps.c.run_id == run_id, steps.c.state.in_(OPEN_STEPS))
        .values(
            state=StepState.CANCELLED,
            lease_until=None,
            ring_at=None,
            finished_at=now,
            error="its run has ended",
        )
        .returning(steps.c.id, steps.c.attempt)
    ).all()
    for step in cancelled:
        record_outcome(connection, step.id, run_id, step.attempt, StepState.CANCELLED, now)

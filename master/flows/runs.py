"""Runs: start, look, cancel, try again, end."""

from __future__ import annotations

import json
import secrets
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Row, func, insert, select, update

from master.approvals.expire import cancel_approvals
from master.dispatch.finish import record_outcome
from master.dispatch.states import OPEN_STEPS, RunState, StepState, check_run_move
from master.dispatch.wake import wake_run
from master.events import record_event
from master.flows.failed import try_failed_again
from master.flows.registry import get_flow
from master.store import news_of
from master.store.order import later_of
from master.store.tables import artifacts, attempts, runs, steps
from tasks.errors import InvalidInput, NotFound

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


def get_run(connection: Connection, run_id: str) -> Row[Any]:
    """The run's row; ``NotFound`` says how to list them."""
    row = connection.execute(select(runs).where(runs.c.id == run_id)).first()
    if row is None:
        raise NotFound(f"there is no run {run_id!r}: 'd8 run list' shows them")
    return row


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


def list_runs(
    connection: Connection,
    *,
    state: str = "",
    flow: str = "",
    limit: int = 50,
    before: datetime | None = None,
    after: tuple[datetime, str] | None = None,
) -> list[dict[str, Any]]:
    """Newest first, each with the number of its steps and how many have ended well; ``after``: those that come
    behind the run of this time and id."""
    query = select(runs).order_by(runs.c.created_at.desc(), runs.c.id).limit(limit)
    if state:
        query = query.where(runs.c.state == state)
    if flow:
        query = query.where(runs.c.flow == flow)
    if before is not None:
        query = query.where(runs.c.created_at < before)
    if after is not None:
        query = query.where(later_of((runs.c.created_at, "desc"), (runs.c.id, "asc"), after=after))
    rows = connection.execute(query).all()
    counts = _count_steps(connection, [row.id for row in rows])
    return [describe_run(row, counts.get(row.id, {})) for row in rows]


def describe_run(row: Row[Any], counts: dict[str, int]) -> dict[str, Any]:
    """The run as the API shows it."""
    return {
        "id": row.id,
        "flow": row.flow,
        "state": row.state,
        "progress": row.progress,
        "note": row.note,
        "steps_total": sum(counts.values()),
        "steps_done": counts.get(StepState.DONE, 0),
        "steps_failed": counts.get(StepState.FAILED, 0),
        "created_at": row.created_at,
        "finished_at": row.finished_at,
        "error": row.error,
        "priority": row.priority,
    }


def show_run(connection: Connection, run_id: str) -> dict[str, Any]:
    """The run with its params, result, steps and artifacts."""
    row = get_run(connection, run_id)
    shown = describe_run(row, _count_steps(connection, [run_id]).get(run_id, {}))
    shown["params"] = row.params
    shown["result"] = row.result
    shown["steps"] = [
        _describe_step(step)
        for step in connection.execute(select(steps).where(steps.c.run_id == run_id).order_by(steps.c.id))
    ]
    shown["artifacts"] = [
        {"digest": a.digest, "name": a.name, "media_type": a.media_type, "size": a.size}
        for a in connection.execute(
            select(artifacts).where(artifacts.c.run_id == run_id).order_by(artifacts.c.name)
        )
    ]
    return shown


def list_attempts(
    connection: Connection,
    run_id: str,
    *,
    limit: int | None = None,
    after: tuple[datetime, int, int] | None = None,
) -> list[dict[str, Any]]:
    """Every attempt at every step of the run, in the order of their claims; ``after``: those behind the one of
    this claim, step and number."""
    query = (
        select(attempts, steps.c.key)
        .join(steps, steps.c.id == attempts.c.step_id)
        .where(steps.c.run_id == run_id)
        .order_by(attempts.c.claimed_at, attempts.c.step_id, attempts.c.attempt)
        .limit(limit)
    )
    if after is not None:
        order = (attempts.c.claimed_at, attempts.c.step_id, attempts.c.attempt)
        query = query.where(later_of(*((column, "asc") for column in order), after=after))
    return [row._asdict() for row in connection.execute(query)]


def _describe_step(step: Row[Any]) -> dict[str, Any]:
    return {
        "id": step.id,
        "key": step.key,
        "task": step.task,
        "kind": step.kind,
        "state": step.state,
        # How many attempts have been claimed or are being waited for; 0 for what needs no worker.
        "attempts": step.attempt if step.kind == "task" else 0,
        "worker": step.worker,
        "build": step.build,
        "lane": step.lane,
        "progress": step.progress,
        "note": step.note,
        "error": step.error,
        # What models were asked and what that cost; empty where none was.
        "usage": json.loads(step.usage),
        "created_at": step.created_at,
        "claimed_at": step.claimed_at,
        "finished_at": step.finished_at,
    }


def _count_steps(connection: Connection, run_ids: list[str]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    query = (
        select(steps.c.run_id, steps.c.state, func.count().label("steps"))
        .where(steps.c.run_id.in_(run_ids))
        .group_by(steps.c.run_id, steps.c.state)
    )
    for row in connection.execute(query):
        counts.setdefault(row.run_id, {})[row.state] = row.steps
    return counts


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

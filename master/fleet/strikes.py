"""Quarantine: a worker on which a task keeps failing that succeeds elsewhere."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select

from master.events import record_event
from master.fleet.states import WorkerState
from master.fleet.workers import get_worker, move_worker
from master.store.tables import attempts, steps, workers
from tasks.protocol import Failure

#: So many steps of one task.
STRIKES = 3
#: A worker that went away is another matter: it is offline.
COUNTED = (Failure.TRANSIENT, Failure.DEADLINE, Failure.CRASHED)


def note_success_elsewhere(connection: Connection, step_id: int, *, now: datetime) -> list[str]:
    """A step that failed before has succeeded: whoever failed it three times or more like this is
    quarantined. Returns their names."""
    step = connection.execute(select(steps.c.task, steps.c.worker).where(steps.c.id == step_id)).one()
    failed_it = connection.execute(
        select(attempts.c.worker)
        .join(workers, workers.c.name == attempts.c.worker)
        .where(
            attempts.c.step_id == step_id,
            attempts.c.outcome.in_(COUNTED),
            attempts.c.worker != step.worker,
            attempts.c.claimed_at >= workers.c.joined_at,
            workers.c.state.in_((WorkerState.ACTIVE, WorkerState.DRAINING)),
        )
        .distinct()
    ).scalars()
    return [name for name in list(failed_it) if _judge(connection, name, step.task, now)]


def count_strikes(connection: Connection, worker: str, task: str) -> int:
    """Steps of this task that this worker has failed since it joined and another one has done."""
    query = (
        select(func.count(func.distinct(steps.c.id)))
        .join(attempts, attempts.c.step_id == steps.c.id)
        .join(workers, workers.c.name == attempts.c.worker)
        .where(
            steps.c.task == task,
            steps.c.state == "done",
            steps.c.worker != worker,
            attempts.c.worker == worker,
            attempts.c.outcome.in_(COUNTED),
            attempts.c.claimed_at >= workers.c.joined_at,
        )
    )
    return int(connection.execute(query).scalar_one())


def _judge(connection: Connection, worker: str, task: str, now: datetime) -> bool:
    strikes = count_strikes(connection, worker, task)
    record_event(connection, "worker_strike", now, worker=worker, task=task, strikes=strikes)
    if strikes < STRIKES:
        return False
    reason = (
        f"{strikes} steps of {task} failed here and succeeded elsewhere: look at its log, then "
        f"'d8 worker resume {worker}'"
    )
    move_worker(connection, get_worker(connection, worker), WorkerState.QUARANTINED, reason, now)
    return True

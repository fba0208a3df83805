"""What a worker did lately, how fast it is, and what failed on it. Every question is bounded: the newest
part of long tables, or an index of what failed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, func, select, text

from master.fleet.strikes import COUNTED
from master.store.tables import attempts, events, paces, steps, workers
from tasks.record import Record

#: How far back a question without an index of its own looks.
LATELY_STEPS = 5_000
LATELY_EVENTS = 5_000
#: As the partial index has it: with values bound to it, SQLite would not know it again.
_FAILED = text("attempts.outcome NOT IN ('', 'done')")


class Pace(Record):
    """How long a step of a task takes here."""

    task: str
    seconds: float
    steps: int
    #: The same of all other workers; None where no other has done one.
    elsewhere_s: float | None = None


class Strikes(Record):
    """Steps of a task that failed here since the worker joined and that another worker has done."""

    task: str
    strikes: int


def list_worker_attempts(connection: Connection, worker: str, limit: int) -> list[dict[str, Any]]:
    """The worker's latest attempts, newest first, among the fleet's latest steps."""
    newest = connection.execute(select(func.max(steps.c.id))).scalar() or 0
    query = _attempts().where(attempts.c.step_id > newest - LATELY_STEPS, attempts.c.worker == worker)
    return _fetch(connection, query, limit)


def list_worker_failures(connection: Connection, worker: str, limit: int) -> list[dict[str, Any]]:
    """The worker's latest attempts that failed, newest first, however long ago."""
    return _fetch(connection, _attempts().where(attempts.c.worker == worker, _FAILED), limit)


def list_paces(connection: Connection, worker: str) -> list[Pace]:
    """By task, the one with the most steps first."""
    others = (
        select(
            paces.c.task,
            (func.sum(paces.c.seconds * paces.c.steps) / func.sum(paces.c.steps)).label("seconds"),
        )
        .where(paces.c.worker != worker)
        .group_by(paces.c.task)
        .subquery()
    )
    query = (
        select(paces, others.c.seconds.label("elsewhere_s"))
        .join(others, others.c.task == paces.c.task, isouter=True)
        .where(paces.c.worker == worker)
        .order_by(paces.c.steps.desc(), paces.c.task)
    )
    return [
        Pace(task=row.task, seconds=row.seconds, steps=row.steps, elsewhere_s=row.elsewhere_s)
        for row in connection.execute(query)
    ]


def task_paces(connection: Connection) -> dict[str, float]:
    """Seconds that a step of each task takes, over all workers."""
    seconds = func.sum(paces.c.seconds * paces.c.steps) / func.sum(paces.c.steps)
    query = select(paces.c.task, seconds.label("seconds")).group_by(paces.c.task)
    return {row.task: row.seconds for row in connection.execute(query)}


def list_strikes(connection: Connection, worker: str) -> list[Strikes]:
    """By task, the most first; at three the worker is put aside (``master.fleet.strikes``)."""
    joined = select(workers.c.joined_at).where(workers.c.name == worker).scalar_subquery()
    query = (
        select(steps.c.task, func.count(func.distinct(steps.c.id)).label("strikes"))
        .join(attempts, attempts.c.step_id == steps.c.id)
        .where(
            attempts.c.worker == worker,
            _FAILED,
            attempts.c.outcome.in_(COUNTED),
            attempts.c.claimed_at >= joined,
            steps.c.state == "done",
            steps.c.worker != worker,
        )
        .group_by(steps.c.task)
    )
    found = [Strikes(task=row.task, strikes=row.strikes) for row in connection.execute(query)]
    return sorted(found, key=lambda each: (-each.strikes, each.task))


def list_worker_events(connection: Connection, worker: str, limit: int) -> list[dict[str, Any]]:
    """What happened with this worker, newest first, among the fleet's latest events."""
    newest = connection.execute(select(func.max(events.c.seq))).scalar() or 0
    query = select(events).where(events.c.seq > newest - LATELY_EVENTS, events.c.worker == worker)
    rows = connection.execute(query.order_by(events.c.seq.desc()).limit(limit))
    return [row._asdict() for row in rows]


def _attempts() -> Select[Any]:
    return (
        select(attempts, steps.c.run_id, steps.c.key, steps.c.task)
        .join(steps, steps.c.id == attempts.c.step_id)
        .order_by(attempts.c.claimed_at.desc(), attempts.c.step_id.desc())
    )


def _fetch(connection: Connection, query: Select[Any], limit: int) -> list[dict[str, Any]]:
    return [row._asdict() for row in connection.execute(query.limit(limit))]

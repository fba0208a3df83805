"""How a trial ends: a worker with a new build has run its canary step, well or not."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update

from master.fleet.states import WorkerState
from master.fleet.workers import get_worker, move_worker
from master.store import news_of
from master.store.tables import workers


def workers_on_trial(connection: Connection) -> list[tuple[str, str, str]]:
    """Name, session and build of the workers that wait for their canary."""
    query = select(workers.c.name, workers.c.session, workers.c.build).where(
        workers.c.state == WorkerState.JOINING, workers.c.session != ""
    )
    return [(row.name, row.session, row.build) for row in connection.execute(query)]


def is_on_trial(connection: Connection, name: str, session: str) -> bool:
    return any((name, session) == found[:2] for found in workers_on_trial(connection))


def end_trial(connection: Connection, name: str, session: str, *, error: str, now: datetime) -> bool:
    """``error`` empty: the worker is one of the fleet. Otherwise it gets no work, and its keeper takes it
    back to the build it came from. False when this session is not on trial any more."""
    if not is_on_trial(connection, name, session):
        return False
    row = get_worker(connection, name)
    if error:
        move_worker(connection, row, WorkerState.QUARANTINED, f"its canary step failed: {error}"[:2000], now)
    else:
        move_worker(connection, row, WorkerState.ACTIVE, "", now)
        connection.execute(
            update(workers).where(workers.c.name == name).values(trial_from="", update_error="")
        )
    news_of(connection).dispatch = True
    return True

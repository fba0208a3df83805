"""Workers that are heard from and yet take no tickets, because they lost their place at the broker."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from master.events import record_event
from master.fleet.notices import close_notice, open_notice
from master.fleet.states import WorkerState
from master.store.tables import workers

#: A worker that has just joined, or whose broker has just come back, may still be connecting.
_SETTLED = timedelta(seconds=60)


def long_active(connection: Connection, *, now: datetime) -> dict[str, str]:
    """Name and build of the workers that should be listening."""
    query = select(workers.c.name, workers.c.build).where(
        workers.c.state == WorkerState.ACTIVE, workers.c.joined_at < now - _SETTLED
    )
    return {row.name: row.build for row in connection.execute(query)}


def known_builds(connection: Connection) -> list[str]:
    """Builds of workers that may be listening, also of those that get no work."""
    gone = (WorkerState.OFFLINE, WorkerState.REMOVED)
    query = select(workers.c.build).where(workers.c.state.not_in(gone), workers.c.build != "").distinct()
    return list(connection.execute(query).scalars())


def note_deaf(
    connection: Connection, deaf: Iterable[str], listening: Iterable[str], *, now: datetime
) -> None:
    """The owner hears of the deaf ones, and when they listen again."""
    reason = "it listens to none of its queues at the broker: start it again on its machine"
    for name in sorted(deaf):
        open_notice(connection, f"deaf:{name}", "worker_not_consuming", now, worker=name, reason=reason)
    for name in sorted(listening):
        if close_notice(connection, f"deaf:{name}", now):
            record_event(connection, "worker_listens_again", now, worker=name)

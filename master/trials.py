"""A worker on trial gets its canary run; a trial that is over without one loses it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from master.dispatch.states import OPEN_RUNS
from master.fleet.trials import workers_on_trial
from master.flows.runs import cancel_run, start_run
from master.store.tables import runs

#: Before anything else: a worker that waits does nothing.
_PRIORITY = 100


def start_canaries(connection: Connection, *, now: datetime) -> list[str]:
    """One canary run for each session on trial; returns the runs. Harmless to repeat."""
    started = []
    for worker, session, build in workers_on_trial(connection):
        started.append(
            start_run(
                connection,
                "canary",
                {"worker": worker, "session": session, "build": build},
                now=now,
                priority=_PRIORITY,
                idempotency_key=f"canary:{worker}:{session}",
            )
        )
    return started


def close_canaries(connection: Connection, *, now: datetime) -> None:
    """Cancel the canaries of sessions that are not on trial any more: nobody else may run them."""
    on_trial = {(worker, session) for worker, session, _ in workers_on_trial(connection)}
    query = select(runs.c.id, runs.c.params).where(runs.c.flow == "canary", runs.c.state.in_(OPEN_RUNS))
    for row in connection.execute(query).all():
        if (row.params["worker"], row.params["session"]) not in on_trial:
            cancel_run(connection, row.id, by="the end of the trial", now=now)

"""Claims whose lease ran out: the attempt is lost, and the step goes on with the next one."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from master.dispatch.finish import give_back
from master.dispatch.states import StepState
from master.events import record_event
from master.store.tables import steps
from tasks.protocol import Failure


def reap_leases(connection: Connection, *, now: datetime, limit: int = 500) -> int:
    """End the attempts that were not renewed in time. Returns how many."""
    expired = connection.execute(
        select(steps).where(steps.c.state == StepState.RUNNING, steps.c.lease_until < now).limit(limit)
    ).all()
    for step in expired:
        why = f"worker {step.worker!r} was not heard from for the length of its lease"
        record_event(
            connection,
            "lease_expired",
            now,
            run_id=step.run_id,
            step_id=step.id,
            worker=step.worker,
            attempt=step.attempt,
        )
        give_back(connection, step, Failure.LOST, why, now=now)
    return len(expired)


def extend_leases(connection: Connection, *, until: datetime) -> None:
    """After the master was away: nobody could renew meanwhile, so nobody is late yet."""
    connection.execute(
        update(steps)
        .where(steps.c.state == StepState.RUNNING, steps.c.lease_until < until)
        .values(lease_until=until)
    )


def grace(lease_s: float) -> timedelta:
    """How long a worker may need to notice that the master is back and to renew."""
    return timedelta(seconds=lease_s * 1.5)

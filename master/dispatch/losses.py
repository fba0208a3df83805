"""Attempts whose worker went away: they end without waiting for their lease."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from master.dispatch.finish import give_back
from master.dispatch.states import StepState
from master.store.tables import steps
from tasks.protocol import Failure, Lost, Recorded


def record_lost(connection: Connection, lost: Lost, *, now: datetime) -> Recorded:
    """End an attempt whose process is gone, without waiting for its lease. One that this session
    does not hold (any more) is left alone."""
    step = connection.execute(select(steps).where(steps.c.id == lost.step)).first()
    held = (
        step is not None
        and step.state == StepState.RUNNING
        and (step.attempt, step.worker, step.session) == (lost.attempt, lost.worker, lost.session)
    )
    if step is None or not held:
        return Recorded(again=True)
    give_back(connection, step, lost.failure, lost.error, now=now)
    return Recorded()


def end_worker_claims(
    connection: Connection, worker: str, *, but_session: str, now: datetime, why: str
) -> int:
    """Give back what older sessions of this worker hold: they are gone. Returns how many."""
    held = connection.execute(
        select(steps).where(
            steps.c.state == StepState.RUNNING, steps.c.worker == worker, steps.c.session != but_session
        )
    ).all()
    for step in held:
        give_back(connection, step, Failure.LOST, why, now=now)
    return len(held)

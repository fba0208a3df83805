"""The version gate: the fleet has one build, and only workers of that build are given work."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update

from master.dispatch.publish import fleet_value
from master.dispatch.states import StepState
from master.events import record_event
from master.fleet.states import WorkerState, state_on_join
from master.fleet.workers import build_reason, move_worker
from master.store import news_of
from master.store.tables import fleet, steps, workers


def install_build(connection: Connection, build: str, *, now: datetime) -> bool:
    """Make ``build`` the fleet's. False when it already is.

    Steps whose ticket is out but unclaimed are re-targeted: a new attempt, so that the old ticket
    can never be claimed. Steps in progress on the old build may finish and are recorded. Workers of
    another build are ``wrong_build`` from now on.
    """
    old = fleet_value(connection, "build")
    if old == build:
        return False
    set_fleet_value(connection, "build", build)
    retargeted = connection.execute(
        update(steps)
        .where(steps.c.state == StepState.QUEUED)
        .values(state=StepState.READY, attempt=steps.c.attempt + 1, ring_at=None)
    ).rowcount
    record_event(connection, "build_installed", now, build=build, was=old, retargeted=retargeted)
    for row in connection.execute(select(workers).where(workers.c.state != WorkerState.OFFLINE)).all():
        state = state_on_join(row.build, build, was_draining=row.state == WorkerState.DRAINING)
        move_worker(connection, row, state, build_reason(row.name, row.build, build), now)
    news_of(connection).dispatch = True
    return True


def set_fleet_value(connection: Connection, name: str, value: str) -> None:
    """Keep a fact about the fleet as a whole."""
    changed = connection.execute(update(fleet).where(fleet.c.name == name).values(value=value))
    if not changed.rowcount:
        connection.execute(fleet.insert().values(name=name, value=value))

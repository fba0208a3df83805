"""The version gate: the fleet has one build, and only workers of that build are given work."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update

from master.dispatch.publish import fleet_value, set_fleet_value
from master.dispatch.states import StepState
from master.events import record_event
from master.fleet.states import WorkerState, state_on_join
from master.fleet.workers import move_worker, standing_reason
from master.store import news_of
from master.store.tables import steps, workers


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
    # What one build could not do, another may.
    connection.execute(update(workers).values(update_to="", update_error=""))
    gone = (WorkerState.OFFLINE, WorkerState.REMOVED)
    known = select(workers).where(workers.c.state.not_in(gone), workers.c.session != "")
    for row in connection.execute(known).all():
        state = state_on_join(row.build, build, was=WorkerState(row.state), on_trial=bool(row.trial_from))
        reason = row.reason if state == row.state else standing_reason(row, state, build)
        move_worker(connection, row, state, reason, now)
    news_of(connection).dispatch = True
    return True

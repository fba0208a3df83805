"""Counts for ``/estado``: the runs and the fleet."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from master.dispatch.states import OPEN_RUNS, StepState
from master.fleet.states import WorkerState
from master.store.tables import runs, steps, workers

_IN_FLIGHT = (StepState.READY, StepState.QUEUED, StepState.RUNNING)


def count_facts(connection: Connection) -> Mapping[str, int]:
    """Name of the fact -> count; the names are message ids of the catalogues."""
    open_runs = select(func.count()).select_from(runs).where(runs.c.state.in_(OPEN_RUNS))
    active = select(func.count()).select_from(workers).where(workers.c.state == WorkerState.ACTIVE)
    others = workers.c.state.not_in((WorkerState.ACTIVE, WorkerState.REMOVED))
    idle = select(func.count()).select_from(workers).where(others)
    open_steps = select(func.count()).select_from(steps).where(steps.c.state.in_(_IN_FLIGHT))
    return {
        "Runs in progress": connection.execute(open_runs).scalar_one(),
        "Steps to do": connection.execute(open_steps).scalar_one(),
        "Workers ready": connection.execute(active).scalar_one(),
        "Workers that are not": connection.execute(idle).scalar_one(),
    }

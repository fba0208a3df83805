"""Counts for ``/estado``: how many runs are under way, how many workers are ready."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from master.dispatch.states import OPEN_RUNS
from master.fleet.states import WorkerState
from master.store.tables import runs, workers


def count_facts(connection: Connection) -> Mapping[str, int]:
    """Name of the fact -> count; the names are message ids of the catalogues."""
    open_runs = select(func.count()).select_from(runs).where(runs.c.state.in_(OPEN_RUNS))
    active = select(func.count()).select_from(workers).where(workers.c.state == WorkerState.ACTIVE)
    return {
        "Runs in progress": connection.execute(open_runs).scalar_one(),
        "Workers ready": connection.execute(active).scalar_one(),
    }

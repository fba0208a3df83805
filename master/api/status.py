"""The fleet at a glance."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from master.approvals.tables import approvals
from master.dispatch.publish import fleet_value
from master.dispatch.states import StepState
from master.fleet.notices import list_notices
from master.settings import Settings
from master.store.tables import STEPS_IN_FLIGHT, STEPS_WAITING, runs, steps, workers


def show_status(connection: Connection, settings: Settings, build: str, now: datetime) -> dict[str, Any]:
    """What ``d8 status`` and the dashboard's first page show."""
    run_states = _count(connection, select(runs.c.state, func.count()).group_by(runs.c.state))
    in_flight = select(steps.c.state, func.count()).where(STEPS_IN_FLIGHT).group_by(steps.c.state)
    step_states = _count(connection, in_flight)
    waiting = connection.execute(select(func.count()).select_from(steps).where(STEPS_WAITING)).scalar_one()
    if waiting:
        step_states[StepState.WAITING] = waiting
    worker_states: Counter[str] = Counter()
    slots = 0
    for row in connection.execute(
        select(workers.c.state, workers.c.slots).where(workers.c.state != "removed")
    ):
        worker_states[row.state] += 1
        slots += row.slots if row.state == "active" else 0
    pending = select(func.count()).select_from(approvals).where(approvals.c.state == "pending")
    return {
        "state": "paused" if fleet_value(connection, "paused") else "running",
        "build": fleet_value(connection, "build"),
        "master_build": build,
        "time": now,
        "workers": dict(worker_states),
        "slots": slots,
        "runs": run_states,
        "steps": step_states,
        "notices": [
            {"kind": notice.kind, **notice.data, "since": notice.opened_at}
            for notice in list_notices(connection)
        ],
        "approvals_pending": connection.execute(pending).scalar_one(),
        "model": settings.model,
    }


def _count(connection: Connection, query: Any) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.execute(query)}

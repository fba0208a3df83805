"""A row for a step that no worker runs: a question, or an act of the flow itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert

from master.dispatch.states import StepKind, StepState
from master.store.tables import steps


def insert_step(
    connection: Connection,
    run_id: str,
    key: str,
    kind: StepKind,
    state: StepState,
    now: datetime,
    **more: Any,
) -> int:
    """Insert it; returns its id."""
    values = {
        "run_id": run_id,
        "key": key,
        "kind": kind,
        "task": str(kind),
        "state": state,
        "created_at": now,
    }
    step_id: int = connection.execute(
        insert(steps).values(**values, **more).returning(steps.c.id)
    ).scalar_one()
    return step_id

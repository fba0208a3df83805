"""What a pass begins with: its run, and the steps that it may still have to look at.

Statements are made once: a run of thousands of steps has thousands of passes.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select

from master.dispatch.states import StepKind, StepState
from master.flows.handle import Recorded
from master.store.tables import outcomes, runs, steps

_RUN = select(runs).where(runs.c.id == bindparam("run"))
_STEPS = (
    select(
        steps.c.id,
        steps.c.key,
        steps.c.kind,
        steps.c.state,
        steps.c.awaited,
        steps.c.request_digest,
        steps.c.result,
        steps.c.error,
        outcomes.c.seq,
    )
    .outerjoin(outcomes, outcomes.c.step_id == steps.c.id)
    .where(steps.c.run_id == bindparam("run"), steps.c.folded.is_(False))
)
_LAST_SEQ = select(func.max(outcomes.c.seq)).where(outcomes.c.run_id == bindparam("run"))
_WAKE = select(runs.c.wake, runs.c.seen).where(runs.c.id == bindparam("run"))


def find_run(connection: Connection, run_id: str) -> Row[Any] | None:
    """The run's row."""
    return connection.execute(_RUN, {"run": run_id}).first()


def is_due(connection: Connection, run_id: str) -> bool:
    """Whether the run was woken since its last pass."""
    row = connection.execute(_WAKE, {"run": run_id}).one()
    return bool(row.wake > row.seen)


def load_steps(connection: Connection, run_id: str) -> list[Recorded]:
    """The run's steps, but for those that what it carries accounts for."""
    return [
        Recorded(
            id=row.id,
            key=row.key,
            kind=StepKind(row.kind),
            state=StepState(row.state),
            awaited=row.awaited,
            request_digest=row.request_digest,
            result=row.result or "",
            error=row.error,
            seq=row.seq or 0,
        )
        for row in connection.execute(_STEPS, {"run": run_id})
    ]


def last_seq(connection: Connection, run_id: str) -> int:
    """The number of the run's latest outcome; 0 if it has none."""
    return connection.execute(_LAST_SEQ, {"run": run_id}).scalar() or 0

"""What failed, or was cancelled with its run, is made ready again."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select, update

from master.dispatch.states import StepState
from master.flows.succession import WITHDRAWN
from master.store.tables import outcomes, steps


def try_failed_again(connection: Connection, run_id: str) -> int:
    """What failed or was cancelled with its run gets a new attempt; returns how many steps. The run is the
    caller's."""
    again = connection.execute(
        select(steps.c.id).where(
            steps.c.run_id == run_id,
            steps.c.state.in_((StepState.FAILED, StepState.CANCELLED)),
            steps.c.kind == "task",
            # The flow has gone on from a failure that it has accounted for.
            steps.c.folded.is_(False),
        )
    )
    ids = list(again.scalars())
    # A question that was withdrawn with the run is asked again, as a new one.
    withdrawn = list(
        connection.execute(
            select(steps.c.id).where(
                steps.c.run_id == run_id,
                steps.c.state == StepState.CANCELLED,
                steps.c.kind == "approval",
                ~steps.c.key.contains(WITHDRAWN),
                steps.c.folded.is_(False),
            )
        ).scalars()
    )
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        connection.execute(delete(outcomes).where(outcomes.c.step_id.in_(part)))
        connection.execute(
            update(steps)
            .where(steps.c.id.in_(part))
            .values(
                state=StepState.READY,
                attempt=steps.c.attempt + 1,
                failures=0,
                token="",
                not_before=None,
                finished_at=None,
            )
        )
    for step_id in withdrawn:
        connection.execute(
            update(steps).where(steps.c.id == step_id).values(key=steps.c.key + f"{WITHDRAWN}{step_id}")
        )
    return len(ids)

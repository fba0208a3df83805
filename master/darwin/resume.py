"""An evolution is taken up again: one that failed where it was, one that has ended as a new run."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from master.darwin.listing import FLOWS
from master.dispatch.states import RunState
from master.flows.runs import get_run, retry_run, start_run
from tasks.errors import NotFound, Refused


def resume_evolution(connection: Connection, run_id: str, *, evals: int, by: str, now: datetime) -> str:
    """Returns the run that goes on. ``evals``: evaluations in all, with those of before; 0: as before.
    ``Refused`` for one that is not over."""
    run = get_run(connection, run_id)
    if run.flow not in FLOWS:
        raise NotFound(f"run {run_id} is a {run.flow} run and no evolution: see it at /runs/{run_id}")
    if run.state == RunState.FAILED:
        retry_run(connection, run_id, by=by, now=now)
        return run_id
    if run.state != RunState.DONE:
        raise Refused(
            f"evolution {run_id} is {run.state}: one that failed or has ended can be taken up again"
        )
    params = {**run.params, "resumes": run_id}
    if evals:
        params["budget"] = {**params.get("budget", {}), "evals": evals}
    return start_run(connection, run.flow, params, now=now, by=by)

"""The ``noop`` flow: many steps that do nothing, for benchmarks and tests of dispatch; and the ``canary``
flow, in which a worker with a new build proves itself."""

from __future__ import annotations

from functools import partial
from typing import Any

from pydantic import Field

from master.clock import utc_now
from master.fleet.trials import end_trial
from master.flows.context import FlowContext
from master.flows.handle import StepFailed
from master.flows.registry import flow
from tasks import fleet_canary, fleet_noop
from tasks.record import Record


class Params(Record):
    steps: int = Field(default=1, ge=1, le=100_000)
    duration_s: float = Field(default=0.0, ge=0, le=3600)


@flow("noop", params=Params)
def do_nothing(ctx: FlowContext, params: Params) -> dict[str, Any]:
    """Run ``steps`` steps of ``fleet.noop``, all at once."""
    handles = [
        ctx.start(
            f"noop:{index}",
            fleet_noop.TASK,
            fleet_noop.Request(duration_s=params.duration_s, echo=str(index)),
        )
        for index in range(params.steps)
    ]
    results = ctx.gather(handles)
    return {"steps": len(results), "first_started_at_s": min(result.started_at_s for result in results)}


class Trial(Record):
    worker: str
    session: str
    build: str


@flow("canary", params=Trial)
def prove(ctx: FlowContext, params: Trial) -> dict[str, Any]:
    """One step that only this worker may run; how it ends decides whether the worker is one of the fleet."""
    error = ""
    try:
        result = ctx.call("canary", fleet_canary.TASK, fleet_canary.Request(), only_worker=params.worker)
        if result.build != params.build:
            error = f"it says that it runs build {result.build}, not {params.build}"
    except StepFailed as failure:
        error = failure.error
    verdict = partial(end_trial, name=params.worker, session=params.session, error=error, now=utc_now())
    counted = ctx.act("verdict", verdict)
    return {"worker": params.worker, "passed": not error, "error": error, "counted": counted}

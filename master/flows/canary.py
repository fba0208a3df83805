"""The ``noop`` flow: many steps that do nothing, for canaries, benchmarks and tests of dispatch."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from master.flows.context import FlowContext
from master.flows.registry import flow
from tasks import fleet_noop
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

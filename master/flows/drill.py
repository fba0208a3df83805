"""The ``drill`` flow: steps that misbehave, beside which everything else is to go on."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from master.flows.context import FlowContext
from master.flows.registry import flow
from tasks import fleet_drill
from tasks.record import Record


class Params(Record):
    behavior: fleet_drill.Behavior
    steps: int = Field(default=1, ge=1, le=100)
    memory_mib: int = Field(default=0, ge=0, le=65_536)


@flow("drill", params=Params)
def misbehave(ctx: FlowContext, params: Params) -> dict[str, Any]:
    """Every step must end as failed, with its reason."""
    request = fleet_drill.Request(behavior=params.behavior, memory_mib=params.memory_mib)
    handles = [ctx.start(f"drill:{number}", fleet_drill.TASK, request) for number in range(params.steps)]
    ctx.settle(handles)
    return {
        "failed": sum(handle.failed for handle in handles),
        "errors": [handle.error for handle in handles],
    }

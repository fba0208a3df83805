"""The ``python`` flow: one piece of code, run once in a worker's sandbox."""

from __future__ import annotations

from typing import Any

from master.flows.context import FlowContext
from master.flows.registry import flow
from tasks import python_execute
from tasks.needs import Needs


@flow("python", params=python_execute.Request)
def run_code(ctx: FlowContext, params: python_execute.Request) -> dict[str, Any]:
    """``d8 run start python --params '{"code": "outputs = {\\"n\\": 1}"}'``"""
    wanted = params.executor or ("" if params.trusted else python_execute.DOCKER)
    result = ctx.call(
        "execute",
        python_execute.TASK,
        params,
        needs=Needs(executor=wanted, memory_mib=params.limits.memory_mib),
    )
    return result.model_dump(mode="json")

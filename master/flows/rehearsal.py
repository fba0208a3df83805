"""The ``rehearsal`` flow: one harmless question and then one empty step, to try that the owner is reached."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from master.approvals.records import ApprovalType, Question
from master.flows.context import FlowContext
from master.flows.registry import flow
from tasks import fleet_noop
from tasks.record import Record


class Params(Record):
    type: ApprovalType = ApprovalType.DESIGN_DECISION
    title: str = Field(default="A rehearsal: can you read this?", min_length=1, max_length=200)
    #: What is said to cost something is reserved in the ledger once approved: abandon it afterwards.
    cost_minor: int = Field(default=0, ge=0, le=10**9)
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")


@flow("rehearsal", params=Params)
def rehearse(ctx: FlowContext, params: Params) -> dict[str, Any]:
    """``{"approved", "by", "note"}``, once the owner has answered and a worker has run an empty step."""
    ctx.progress(0.1, "waits for your answer")
    decision = ctx.ask(
        "question",
        Question(
            type=params.type,
            title=params.title,
            reason="You asked for a rehearsal: whatever you answer, nothing is bought or published.",
            cost_minor=params.cost_minor,
            currency=params.currency,
            category="rehearsal",
            evidence={"run": ctx.run_id},
        ),
    )
    ctx.progress(0.9, "runs an empty step")
    ctx.call("after", fleet_noop.TASK, fleet_noop.Request(echo=str(decision.state)))
    return {"approved": decision.approved, "by": decision.by, "note": decision.note}

"""Questions for the human: asked by flows, answered once, by whatever door."""

from master.approvals.decide import cancel_approvals, decide, expire_approvals
from master.approvals.records import Approval, ApprovalState, ApprovalType, Decision, Question
from master.approvals.store import create_approval, get_approval, list_approvals

__all__ = [
    "Approval",
    "ApprovalState",
    "ApprovalType",
    "Decision",
    "Question",
    "cancel_approvals",
    "create_approval",
    "decide",
    "expire_approvals",
    "get_approval",
    "list_approvals",
]

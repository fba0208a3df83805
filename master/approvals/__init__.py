"""Questions for the human: asked by flows, answered once, by whatever door.

records.py  the words              policy.py   who decides what, and when to ask (pure)
ask.py      asked, joined, changed  policy_file.py  the owner's file of it
decide.py   yes or no              answer.py   what an answer does: money, runs
execute.py  done, or not           expire.py   what time and a run's end do
store.py    in the database        timing.py   when to tell whom (pure)
history.py  found again, page by page
"""

from master.approvals.ask import create_approval, decision_of, revise_approval
from master.approvals.decide import NotADecider, Superseded, decide, may_decide, record_refusal
from master.approvals.execute import abandon, execute
from master.approvals.expire import cancel_approvals, expire_approvals
from master.approvals.policy import Policy
from master.approvals.policy_file import PolicyFile
from master.approvals.records import (
    Approval,
    ApprovalState,
    ApprovalType,
    Decision,
    ExpectedReturn,
    Question,
    Urgency,
    Voter,
)
from master.approvals.store import (
    find_approvals,
    get_approval,
    list_approvals,
    list_to_do,
)

__all__ = [
    "Approval",
    "ApprovalState",
    "ApprovalType",
    "Decision",
    "ExpectedReturn",
    "NotADecider",
    "Policy",
    "PolicyFile",
    "Question",
    "Superseded",
    "Urgency",
    "Voter",
    "abandon",
    "cancel_approvals",
    "create_approval",
    "decide",
    "decision_of",
    "execute",
    "expire_approvals",
    "find_approvals",
    "get_approval",
    "list_approvals",
    "list_to_do",
    "may_decide",
    "record_refusal",
    "revise_approval",
]

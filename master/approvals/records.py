"""The words of approvals: what is asked, who answers, what is recorded, what the flow gets back."""

from __future__ import annotations

import enum
import hashlib
import json
from datetime import datetime
from typing import Literal

from pydantic import Field, model_validator

from tasks.record import Record


class ApprovalType(enum.StrEnum):
    PAYMENT = "PAYMENT"
    DESIGN_DECISION = "DESIGN_DECISION"
    API_ACCOUNT = "API_ACCOUNT"
    CONTENT_APPROVAL = "CONTENT_APPROVAL"
    STRATEGIC_DECISION = "STRATEGIC_DECISION"


class ApprovalState(enum.StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    #: Nobody answered in time. Silence is never consent.
    EXPIRED = "expired"
    #: The run that asked is over.
    CANCELLED = "cancelled"
    #: Another request about the same need took its place.
    SUPERSEDED = "superseded"
    #: The human did it.
    EXECUTED = "executed"
    #: Approved, but it was not done, and will not be.
    ABANDONED = "abandoned"


#: From which state a request may go to which.
MOVES: dict[ApprovalState, frozenset[ApprovalState]] = {
    ApprovalState.PENDING: frozenset(
        {
            ApprovalState.APPROVED,
            ApprovalState.REJECTED,
            ApprovalState.EXPIRED,
            ApprovalState.CANCELLED,
            ApprovalState.SUPERSEDED,
        }
    ),
    ApprovalState.APPROVED: frozenset({ApprovalState.EXECUTED, ApprovalState.ABANDONED}),
}


class Urgency(enum.StrEnum):
    #: Told with others in the day's digest.
    LOW = "low"
    NORMAL = "normal"
    #: Told at once, in quiet hours too.
    HIGH = "high"


class ExpectedReturn(Record):
    """What the asker expects to come back, in the currency of the cost, and why it thinks so."""

    low_minor: int
    expected_minor: int
    high_minor: int
    #: How the numbers were computed, with their sources.
    how: str = Field(min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _in_order(self) -> ExpectedReturn:
        if not self.low_minor <= self.expected_minor <= self.high_minor:
            raise ValueError(
                f"an expected return of {self.expected_minor} must lie in its range {self.low_minor} to "
                f"{self.high_minor}"
            )
        return self


class Question(Record):
    """What a flow asks of the human."""

    type: ApprovalType
    title: str = Field(min_length=1, max_length=200)
    reason: str = Field(min_length=1, max_length=4000)
    #: What was tried automatically before asking, and why that was not enough.
    tried: str = Field(default="", max_length=4000)
    cost_minor: int = Field(default=0, ge=0, le=10**15)
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")
    #: Of the budget that the cost is taken from: "hosting", "domains".
    category: str = Field(default="other", max_length=50, pattern=r"^[a-z0-9]+([-_][a-z0-9]+)*$")
    #: Whom the money is spent for, as the ledger shows it; empty: derived from the run.
    project: str = Field(default="", max_length=100)
    expected: ExpectedReturn | None = None
    #: The exact arguments of what a yes would set going.
    payload: dict[str, str] = Field(default_factory=dict)
    #: Label to text, or to the digest of an artifact.
    evidence: dict[str, str] = Field(default_factory=dict)
    urgency: Urgency = Urgency.NORMAL
    #: Seconds until silence is a no; None: as the policy says for this type.
    expires_s: int | None = Field(default=None, ge=60, le=366 * 86400)
    #: What is needed, in a form that every asker of the same thing writes alike ("domain:tapas.es").
    #: While one request about it waits, others join it. Empty: this question is only this run's.
    need: str = Field(default="", max_length=200)
    #: Whether the run goes on once this is decided, or once the human has done it.
    until: Literal["decided", "executed"] = "decided"

    def digest(self) -> str:
        """Binds a decision to the substance of what was asked; wording, urgency and expiry are not a
        part of it."""
        bound = self.model_dump(
            mode="json",
            include={"type", "cost_minor", "currency", "category", "payload", "evidence", "until"},
        )
        return hashlib.sha256(json.dumps(bound, sort_keys=True).encode()).hexdigest()


class Voter(Record):
    """Who answers, and by which door."""

    #: "telegram:4711", "token:owner": how the door knows them. The policy says who that is.
    identity: str
    #: How the record shows them: "Ana (4711)".
    name: str
    door: str


#: D8 itself: expiry, cancellation.
CLOCK = Voter(identity="d8", name="d8", door="clock")
#: A budget line that lets small payments pass.
BUDGET = Voter(identity="policy", name="policy", door="policy")


class Vote(Record):
    """One yes of several that a request needs."""

    by: str
    door: str
    at: datetime
    note: str


class Approval(Record):
    """An approval request as it stands."""

    id: str
    type: ApprovalType
    state: ApprovalState
    title: str
    reason: str
    tried: str
    cost_minor: int
    currency: str
    category: str
    project: str
    expected: ExpectedReturn | None
    payload: dict[str, str]
    evidence: dict[str, str]
    urgency: Urgency
    need: str
    until: Literal["decided", "executed"]
    run_id: str
    step_key: str
    #: Who started the run that asks.
    asked_for: str
    revision: int
    digest: str
    created_at: datetime
    #: When the current revision was asked.
    asked_at: datetime
    expires_at: datetime
    #: How many different people must say yes.
    quorum: int
    votes: tuple[Vote, ...] = ()
    decided_at: datetime | None
    decided_by: str
    door: str
    note: str
    #: Approved, and not done by then: abandoned.
    execute_by: datetime | None
    executed_at: datetime | None
    executed_by: str
    actual_minor: int | None
    reference: str
    #: The request that took this one's place.
    replaced_by: str

    @property
    def awaits_execution(self) -> bool:
        """The owner said yes and has still to do it."""
        return self.state is ApprovalState.APPROVED and self.execute_by is not None


class Decision(Record):
    """The answer, as the flow that asked sees it."""

    id: str
    state: ApprovalState
    by: str
    note: str
    #: What it cost in the end, once the human has done it.
    actual_minor: int | None = None
    currency: str = "EUR"
    #: Of the human's act: an invoice number, an account's name.
    reference: str = ""

    @property
    def approved(self) -> bool:
        return self.state in (ApprovalState.APPROVED, ApprovalState.EXECUTED)

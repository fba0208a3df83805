"""The words of approvals: what is asked, what is recorded, what the flow gets back."""

from __future__ import annotations

import enum
import hashlib
from datetime import datetime

from pydantic import Field

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
    CANCELLED = "cancelled"


class Question(Record):
    """What a flow asks of the human."""

    type: ApprovalType
    title: str = Field(min_length=1, max_length=200)
    reason: str = Field(min_length=1, max_length=4000)
    #: What was tried automatically before asking.
    tried: str = Field(default="", max_length=4000)
    cost_minor: int = Field(default=0, ge=0)
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")
    #: Label to text, or to the digest of an artifact.
    evidence: dict[str, str] = Field(default_factory=dict)
    expires_s: int = Field(default=7 * 86400, ge=60, le=366 * 86400)

    def digest(self) -> str:
        """Binds a decision to exactly what was asked."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


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
    evidence: dict[str, str]
    run_id: str
    step_key: str
    revision: int
    digest: str
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    decided_by: str
    door: str
    note: str


class Decision(Record):
    """The answer, as the flow that asked sees it."""

    id: str
    state: ApprovalState
    by: str
    note: str

    @property
    def approved(self) -> bool:
        return self.state is ApprovalState.APPROVED

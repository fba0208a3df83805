"""The words of webhooks."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from tasks.protocol import Name
from tasks.record import Record

Pattern = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[a-z0-9_*]+$")]

#: Behind each failed try, until the next one: those that the Standard Webhooks specification proposes.
DELAYS = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
#: An address at which nothing has arrived for so long is switched off.
GIVEN_UP_AFTER = timedelta(days=3)
#: What was delivered, and what never was, is shown for so long.
KEPT = timedelta(days=14)


class NewWebhook(Record):
    name: Name
    #: https://... or, in a network that you trust, http://...
    url: str = Field(min_length=8, max_length=2000)
    #: "run_done", "approval_*"; none: every event.
    events: tuple[Pattern, ...] = Field(default=(), max_length=50)
    #: Whether it may be on the master's own machine or link.
    allow_local: bool = Field(default=False, strict=True)


class Webhook(Record):
    name: str
    url: str
    events: tuple[str, ...]
    allow_local: bool
    enabled: bool
    #: Why the master switched it off; empty when it did not.
    reason: str
    #: Since when nothing has arrived; null: the last delivery did.
    failing_since: datetime | None
    #: Deliveries that are still to be made.
    waiting: int
    created_at: datetime
    created_by: str


class CreatedWebhook(Webhook):
    #: What deliveries are signed with; shown this once.
    secret: str


class DeliveryState(enum.StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    #: Tried for three days.
    FAILED = "failed"


class Delivery(Record):
    #: ``webhook-id`` of every try.
    id: str
    webhook: str
    event: str
    #: The event's number; null for a test.
    event_seq: int | None
    state: DeliveryState
    attempts: int
    next_at: datetime | None
    #: Of the last try: the answer's status; 0 when there was none.
    status: int
    error: str
    created_at: datetime
    ended_at: datetime | None

"""Webhooks and their deliveries."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, text

from master.store.metadata import Number, metadata
from master.store.types import UtcDateTime

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("url", Text, nullable=False),
    # Names and patterns; none: every event.
    Column("events", JSON, nullable=False),
    # Sealed under a key of the secrets folder.
    Column("secret", Text, nullable=False),
    # Whether it may be on the master's own machine or link.
    Column("allow_local", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    # Why the master switched it off; empty when it did not.
    Column("reason", Text, nullable=False),
    # The last event of which there are deliveries, or none is wanted.
    Column("seen", Number, nullable=False),
    # Since when nothing has arrived; null: the last delivery did.
    Column("failing_since", UtcDateTime),
    Column("failures", Integer, nullable=False),
    # A receiver in trouble is left alone until then.
    Column("not_before", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
)

_PENDING = text("state = 'pending'")

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    # What the receiver knows it by, in every try.
    Column("id", Text, primary_key=True),
    Column("webhook_id", Text, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    # Null for a test.
    Column("event_seq", Number),
    Column("event", Text, nullable=False),
    # Exactly what is sent and signed.
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcDateTime),
    # Of the last try: the answer's status (0: there was none) and what went wrong.
    Column("status", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    # An event is delivered once, in however many tries.
    UniqueConstraint("webhook_id", "event_seq"),
    Index("ix_webhook_deliveries_created_at", "created_at"),
    Index(
        "ix_webhook_deliveries_pending",
        "webhook_id",
        "next_at",
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    ),
)

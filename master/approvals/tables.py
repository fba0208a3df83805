"""The approvals table."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Integer, Table, Text

from master.store.tables import Number, metadata
from master.store.types import UtcDateTime

approvals = Table(
    "approvals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("step_id", Number, ForeignKey("steps.id"), nullable=False, unique=True),
    Column("run_id", Text, nullable=False, index=True),
    Column("step_key", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("state", Text, nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("tried", Text, nullable=False),
    Column("cost_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    Column("decided_by", Text, nullable=False, default=""),
    Column("door", Text, nullable=False, default=""),
    Column("note", Text, nullable=False, default=""),
)

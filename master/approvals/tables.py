"""The tables of approvals."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, Table, Text, text

from master.store.metadata import Number, metadata
from master.store.types import UtcDateTime

_WAITS = text("state = 'pending' AND need <> ''")
#: In the words of ``ix_approvals_to_do``, which SQLite takes for no others.
APPROVALS_TO_DO = text("approvals.state = 'approved' AND approvals.execute_by IS NOT NULL")
_TO_DO = text("state = 'approved' AND execute_by IS NOT NULL")

approvals = Table(
    "approvals",
    metadata,
    Column("id", Text, primary_key=True),
    # The first step that asked; all that wait are in ``approval_steps``.
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
    Column("category", Text, nullable=False, default="other"),
    Column("project", Text, nullable=False, default=""),
    Column("expected", JSON(none_as_null=True)),
    Column("payload", JSON, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("urgency", Text, nullable=False, default="normal"),
    Column("need", Text, nullable=False, default=""),
    Column("until", Text, nullable=False, default="decided"),
    Column("asked_for", Text, nullable=False, default=""),
    Column("revision", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("quorum", Integer, nullable=False, default=1),
    Column("decided_at", UtcDateTime),
    Column("decided_by", Text, nullable=False, default=""),
    Column("door", Text, nullable=False, default=""),
    Column("note", Text, nullable=False, default=""),
    Column("execute_by", UtcDateTime),
    Column("executed_at", UtcDateTime),
    Column("executed_by", Text, nullable=False, default=""),
    Column("actual_minor", BigInteger),
    Column("reference", Text, nullable=False, default=""),
    Column("replaced_by", Text, nullable=False, default=""),
    # One open request about one need.
    Index("uq_approvals_need", "need", unique=True, sqlite_where=_WAITS, postgresql_where=_WAITS),
    Index("ix_approvals_decided_at", "decided_at"),
    Index("ix_approvals_to_do", "execute_by", sqlite_where=_TO_DO, postgresql_where=_TO_DO),
)

#: The steps that wait for a request's answer.
approval_steps = Table(
    "approval_steps",
    metadata,
    Column("step_id", Number, ForeignKey("steps.id"), primary_key=True),
    Column("approval_id", Text, ForeignKey("approvals.id"), nullable=False, index=True),
    Column("run_id", Text, nullable=False, index=True),
    Column("until", Text, nullable=False),
)

#: The yeses of a request that needs several; one for each person and revision.
approval_votes = Table(
    "approval_votes",
    metadata,
    Column("approval_id", Text, ForeignKey("approvals.id"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    # Whom the policy takes the voter for.
    Column("person", Text, primary_key=True),
    Column("by", Text, nullable=False),
    Column("door", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("note", Text, nullable=False),
)

#: What was asked before it was changed.
approval_revisions = Table(
    "approval_revisions",
    metadata,
    Column("approval_id", Text, ForeignKey("approvals.id"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("question", JSON, nullable=False),
    Column("digest", Text, nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("superseded_at", UtcDateTime, nullable=False),
)

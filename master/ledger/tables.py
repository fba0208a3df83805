"""The ledger's tables. Entries and postings are only ever added; the others follow from them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, Table, Text

from master.store.metadata import Number, metadata
from master.store.types import UtcDateTime

ledger_entries = Table(
    "ledger_entries",
    metadata,
    # 1, 2, 3, ... without a gap: given out by the head, not by the database.
    Column("seq", Number, primary_key=True, autoincrement=False),
    Column("idempotency_key", Text, unique=True),
    Column("at", UtcDateTime, nullable=False),
    Column("kind", Text, nullable=False),
    Column("approval_id", Text, nullable=False, default=""),
    Column("run_id", Text, nullable=False, default=""),
    Column("project", Text, nullable=False, default=""),
    Column("category", Text, nullable=False, default=""),
    Column("month", Text, nullable=False),
    Column("note", Text, nullable=False, default=""),
    Column("reference", Text, nullable=False, default=""),
    # Who or what caused it.
    Column("by", Text, nullable=False, default=""),
    # JSON of what a usage entry counts; empty for all others.
    Column("details", Text, nullable=False, default=""),
    # The entry that this one undoes: each at most once.
    Column("reverses", Number, ForeignKey("ledger_entries.seq"), unique=True),
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index("ix_ledger_entries_month", "month"),
    Index("ix_ledger_entries_approval_id", "approval_id"),
)

ledger_postings = Table(
    "ledger_postings",
    metadata,
    Column("seq", Number, ForeignKey("ledger_entries.seq"), primary_key=True, autoincrement=False),
    # 0, 1, 2, ... within the entry.
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("account", Text, nullable=False),
    Column("minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
)

#: One row: the newest entry. Whoever adds one locks it first, so that there is one chain.
ledger_head = Table(
    "ledger_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)

#: Money set aside for an approved request. It is resolved exactly once: settled or released.
ledger_reservations = Table(
    "ledger_reservations",
    metadata,
    Column("approval_id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    # What was paid in the end.
    Column("actual_minor", BigInteger, nullable=False, default=0),
    Column("currency", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("month", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("run_id", Text, nullable=False),
)

#: What a month has reserved and spent, by category ("": all of them together).
ledger_budget_use = Table(
    "ledger_budget_use",
    metadata,
    Column("category", Text, primary_key=True),
    Column("month", Text, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("held_minor", BigInteger, nullable=False, default=0),
    Column("spent_minor", BigInteger, nullable=False, default=0),
)

#: What a run's steps have cost so far, exact, and how much of it is posted.
ledger_run_costs = Table(
    "ledger_run_costs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("currency", Text, nullable=False),
    # Millionths of the currency's major unit, energy and tokens together; ``api_micros`` is the tokens' part.
    Column("micros", BigInteger, nullable=False),
    Column("api_micros", BigInteger, nullable=False),
    Column("posted_minor", BigInteger, nullable=False),
    # Seconds that models computed.
    Column("gpu_s", Float(53), nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("generated_tokens", BigInteger, nullable=False),
)

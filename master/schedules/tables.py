"""Schedules and their executions."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Index, Table, Text, UniqueConstraint

from master.store.metadata import metadata
from master.store.types import UtcDateTime

schedules = Table(
    "schedules",
    metadata,
    # Stays with its executions; a name may be given again.
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    # One of the two: a flow to run, or something that the master does itself.
    Column("flow", Text, nullable=False),
    Column("duty", Text, nullable=False),
    Column("params", JSON, nullable=False),
    # Five fields, read in the time zone.
    Column("cron", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("missed", Text, nullable=False),
    Column("overlap", Text, nullable=False),
    # When it is due; null while it is off. Moved by one conditional update: of two ticks one counts.
    Column("next_at", UtcDateTime, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    # As the doors know them ("token:ana"): what it starts is theirs.
    Column("created_by", Text, nullable=False),
)

executions = Table(
    "executions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("schedule_id", Text, nullable=False),
    # The schedule's name at the time: it may be gone.
    Column("schedule", Text, nullable=False, index=True),
    Column("due_at", UtcDateTime, nullable=False),
    # "clock", or who asked for it.
    Column("origin", Text, nullable=False),
    # Of what has a run, the run's state counts.
    Column("state", Text, nullable=False),
    Column("duty", Text, nullable=False),
    Column("run_id", Text, nullable=False, index=True),
    Column("note", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    # At most one for each moment that a schedule was due.
    UniqueConstraint("schedule_id", "due_at"),
    Index("ix_executions_created_at", "created_at"),
    Index("ix_executions_state", "state"),
)

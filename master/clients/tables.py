"""The clients' table."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Integer, Table, Text, UniqueConstraint

from master.store.metadata import metadata
from master.store.types import UtcDateTime

clients = Table(
    "clients",
    metadata,
    # The project's id, and its folder's name.
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False, index=True),
    # One line on what it waits for, or why it failed.
    Column("note", Text, nullable=False, default=""),
    # The file that it came from, for people.
    Column("source", Text, nullable=False, default=""),
    Column("brief", JSON, nullable=False),
    Column("brief_sha256", Text, nullable=False),
    # The same brief can be delivered again: 1, 2, ...
    Column("ordinal", Integer, nullable=False),
    Column("run_id", Text, nullable=False, default=""),
    # Where it was published; empty until then.
    Column("folder", Text, nullable=False, default=""),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    UniqueConstraint("brief_sha256", "ordinal"),
)

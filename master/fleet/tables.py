"""What the fleet keeps beside its workers: their numbers over time, and what they logged last."""

from __future__ import annotations

from sqlalchemy import Column, Integer, Table, Text

from master.store.metadata import metadata
from master.store.types import UtcDateTime

#: A reading for each minute of a day and each quarter of an hour of a month (``master.fleet.samples``).
host_samples = Table(
    "host_samples",
    metadata,
    Column("worker", Text, primary_key=True),
    Column("span_s", Integer, primary_key=True, autoincrement=False),
    # When its span began.
    Column("at", UtcDateTime, primary_key=True),
    # A packed ``Reading``.
    Column("reading", Text, nullable=False),
    # Lies in the order in which it is read: one page is written for a row, not two.
    sqlite_with_rowid=False,
)

#: The end of a worker's log as it was sent last, and whether it is wanted again.
worker_logs = Table(
    "worker_logs",
    metadata,
    Column("worker", Text, primary_key=True),
    # When somebody asked for it; null when nobody waits for it.
    Column("asked_at", UtcDateTime),
    # When it came; null before the first time.
    Column("sent_at", UtcDateTime),
    Column("session", Text, nullable=False, default=""),
    Column("text", Text, nullable=False, default=""),
)

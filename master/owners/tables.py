"""What is kept of the owners. Of passwords and sessions, only what they can be checked with."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, Text

from master.store.metadata import metadata
from master.store.types import UtcDateTime

owners = Table(
    "owners",
    metadata,
    Column("name", Text, primary_key=True),
    # Argon2id in the PHC string format, with its parameters; empty: none, so that only a code lets them in.
    Column("password", Text, nullable=False, default=""),
    Column("created_at", UtcDateTime, nullable=False),
    Column("password_at", UtcDateTime),
)

sessions = Table(
    "sessions",
    metadata,
    # SHA-256 of the cookie's token; its first 16 digits are what the session is called by.
    Column("digest", Text, primary_key=True),
    # Empty: opened with a code from the terminal, for whoever has that.
    Column("owner", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # When it was last used, to within some minutes.
    Column("seen_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    # Where the browser was, and what it says it is, when the session was opened.
    Column("address", Text, nullable=False, default=""),
    Column("agent", Text, nullable=False, default=""),
    Index("ix_sessions_owner", "owner"),
)

"""What the Telegram door remembers."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, Table, Text, text

from master.store.metadata import metadata
from master.store.types import UtcDateTime

_WAITING = text("state = 'waiting'")

#: Every update from an allowed person, stored before Telegram is told that we have it.
telegram_inbox = Table(
    "telegram_inbox",
    metadata,
    # Telegram's own number of the update: a repeated delivery is the same row.
    Column("update_id", BigInteger, primary_key=True, autoincrement=False),
    Column("received_at", UtcDateTime, nullable=False),
    # The update as it came.
    Column("payload", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("processed_at", UtcDateTime),
    # Why it failed; empty otherwise.
    Column("error", Text, nullable=False, default=""),
    Index("ix_telegram_inbox_waiting", "received_at", sqlite_where=_WAITING, postgresql_where=_WAITING),
)

#: Every message of ours: reserved before it is sent, kept afterwards so that it can be edited.
telegram_messages = Table(
    "telegram_messages",
    metadata,
    # What the message is for ("announce:a7k2:1:4711", "reply:900123"): the same purpose is one row.
    Column("key", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("chat_id", BigInteger, nullable=False),
    # Telegram's number of the message within the chat; known once it was accepted.
    Column("message_id", BigInteger),
    # The request that the message shows or asks about, at which revision; empty for neither.
    Column("approval_id", Text, nullable=False, default=""),
    Column("revision", Integer, nullable=False, default=0),
    # How the request stands as the reader sees it ("pending", "pending:1", "to_do", "executed"); empty
    # before it is sent.
    Column("shown", Text, nullable=False, default=""),
    # HTML of a message that shows no request; one that does is rendered when it is sent, and then this
    # is why it is shown again ("remind"). Of an attachment: the label of the evidence.
    Column("text", Text, nullable=False, default=""),
    # The digest of the image that it was sent with; "-" when Telegram did not want that one.
    Column("photo", Text, nullable=False, default=""),
    # Of who reads it, where the chat does not say it.
    Column("language", Text, nullable=False, default=""),
    # [{"label": ..., "data": ...}, ...] of a message that shows no request.
    Column("buttons", JSON, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("error", Text, nullable=False, default=""),
    Column("created_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
    Index("ix_telegram_messages_state", "state", "shown"),
    Index("ix_telegram_messages_chat", "chat_id", "message_id"),
)

#: Allowed people who wrote to the bot.
telegram_people = Table(
    "telegram_people",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("allowed", Boolean, nullable=False),
    Column("language", Text, nullable=False, default=""),
    Column("first_seen_at", UtcDateTime, nullable=False),
)

#: What was not accepted, counted by person and reason.
telegram_refusals = Table(
    "telegram_refusals",
    metadata,
    # 0: people beyond those that there is room for.
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    # The newest one, cut to what a button can hold.
    Column("sample", Text, nullable=False),
)

#: When Telegram last answered ("contact"), and when its last long silence ended ("outage_over").
telegram_moments = Table(
    "telegram_moments",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
)

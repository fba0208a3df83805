"""Notices: what the owner must act on. Told once when it begins and once when it is over."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, literal, select, update

from master.events import record_event
from master.store.tables import notices
from master.store.types import UtcDateTime
from tasks.record import Record


class Notice(Record):
    """One row of ``notices``."""

    id: int
    subject: str
    kind: str
    data: dict[str, Any]
    opened_at: datetime
    closed_at: datetime | None = None


def open_notice(connection: Connection, subject: str, kind: str, now: datetime, **data: Any) -> None:
    """Say that ``subject`` needs the owner. One of the same kind that is open already stays as it is;
    one of another kind is closed, since things have changed."""
    known = connection.execute(
        select(notices.c.kind).where(notices.c.subject == subject, notices.c.closed_at.is_(None))
    ).scalar()
    if known == kind:
        return
    close_notice(connection, subject, now)
    connection.execute(insert(notices).values(subject=subject, kind=kind, data=data, opened_at=now))
    record_event(connection, "notice_opened", now, subject=subject, kind=kind)


def close_notice(connection: Connection, subject: str, now: datetime) -> bool:
    """Say that it is over. False when nothing was open."""
    closed = connection.execute(
        update(notices)
        .where(notices.c.subject == subject, notices.c.closed_at.is_(None))
        .values(closed_at=now)
    ).rowcount
    if closed:
        record_event(connection, "notice_closed", now, subject=subject)
    return bool(closed)


def list_notices(connection: Connection, *, since: datetime | None = None) -> list[Notice]:
    """Open notices, oldest first; with ``since`` also those that were closed after it."""
    still_open = notices.c.closed_at.is_(None)
    closed_since = notices.c.closed_at > literal(since, UtcDateTime)
    query = select(notices).where(still_open if since is None else still_open | closed_since)
    rows = connection.execute(query.order_by(notices.c.id))
    return [Notice.model_validate(row._asdict()) for row in rows]

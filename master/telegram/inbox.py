"""Updates are stored first, then Telegram is told, then they are processed: no tap is lost.

A row is processed in one transaction together with all that it leads to (the decision, the answers
to be sent), so it happens once however often the process is killed.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from master.events import record_event
from master.telegram.tables import telegram_inbox, telegram_people
from master.telegram.updates import find_sender
from tasks.log import say

log = logging.getLogger(__name__)

#: Telegram keeps updates for 24 hours and may choose new numbers after a week of silence
#: (https://core.telegram.org/bots/api#update): by then an old number must be free again.
KEEP_PROCESSED = timedelta(days=3)


class InboxState(enum.StrEnum):
    WAITING = "waiting"
    DONE = "done"
    #: A defect of ours: kept for a person to look at.
    FAILED = "failed"


def store_updates(
    connection: Connection, updates: Sequence[dict[str, Any]], allowed: frozenset[int], now: datetime
) -> int:
    """Store what allowed people sent and return how many updates were new.

    Of a stranger only the user id is kept, once. Repeated updates change nothing.
    """
    new = 0
    for raw in updates:
        user_id = find_sender(raw)
        if user_id in allowed:
            new += _store(connection, raw, now)
        elif user_id is not None:
            _record_stranger(connection, user_id, now)
    table = telegram_inbox.c
    old = (table.state == InboxState.DONE) & (table.processed_at < now - KEEP_PROCESSED)
    connection.execute(delete(telegram_inbox).where(old))
    return new


def waiting_updates(connection: Connection, limit: int = 100) -> list[int]:
    """Numbers of stored updates that are not processed, oldest first."""
    table = telegram_inbox.c
    query = (
        select(table.update_id)
        .where(table.state == InboxState.WAITING)
        .order_by(table.received_at, table.update_id)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def take_update(connection: Connection, update_id: int, now: datetime) -> dict[str, Any] | None:
    """The stored update, marked as processed in this transaction; None when somebody else was first."""
    table = telegram_inbox.c
    taken = connection.execute(
        update(telegram_inbox)
        .where(table.update_id == update_id, table.state == InboxState.WAITING)
        .values(state=InboxState.DONE, processed_at=now)
    )
    if taken.rowcount == 0:
        return None
    payload: dict[str, Any] = connection.execute(
        select(table.payload).where(table.update_id == update_id)
    ).scalar_one()
    return payload


def set_aside(connection: Connection, update_id: int, error: str, now: datetime) -> None:
    """Keep an update whose processing failed by a defect, so that it does not hold up the others."""
    connection.execute(
        update(telegram_inbox)
        .where(telegram_inbox.c.update_id == update_id)
        .values(state=InboxState.FAILED, processed_at=now, error=error[:2000])
    )


def remember_person(connection: Connection, user_id: int, language: str, now: datetime) -> None:
    """Keep the language of an allowed person, for messages that answer nothing they wrote."""
    _put_person(connection, user_id, allowed=True, language=language, now=now)


def _store(connection: Connection, raw: dict[str, Any], now: datetime) -> int:
    update_id = int(raw["update_id"])
    known = select(telegram_inbox.c.update_id).where(telegram_inbox.c.update_id == update_id)
    if connection.execute(known).first() is not None:
        return 0
    connection.execute(
        insert(telegram_inbox).values(
            update_id=update_id, received_at=now, payload=raw, state=InboxState.WAITING, error=""
        )
    )
    return 1


def _record_stranger(connection: Connection, user_id: int, now: datetime) -> None:
    table = telegram_people.c
    known = connection.execute(select(table.allowed).where(table.user_id == user_id)).scalar_one_or_none()
    if known is False:
        return
    _put_person(connection, user_id, allowed=False, language="", now=now)
    record_event(connection, "telegram_stranger_ignored", now, user=user_id)
    say(log, logging.WARNING, "telegram_stranger_ignored", user=user_id)


def _put_person(connection: Connection, user_id: int, *, allowed: bool, language: str, now: datetime) -> None:
    changed = connection.execute(
        update(telegram_people)
        .where(telegram_people.c.user_id == user_id)
        .values(allowed=allowed, language=language)
    )
    if changed.rowcount == 0:
        connection.execute(
            insert(telegram_people).values(
                user_id=user_id, allowed=allowed, language=language, first_seen_at=now
            )
        )

"""Updates are stored first, then Telegram is told, then they are processed: no tap is lost.

A row is processed in one transaction together with all that it leads to (the decision, the answers
to be sent), so it happens once however often the process is killed.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from master.telegram.refusals import OTHERS, Reason, count_refusal
from master.telegram.tables import telegram_inbox, telegram_people
from master.telegram.updates import find_sender

#: Telegram's ids have at most 52 significant bits (https://core.telegram.org/bots/api#user).
_MOST_USER_ID = 2**53

#: Telegram keeps updates for 24 hours and may choose new numbers after a week of silence
#: (https://core.telegram.org/bots/api#update): by then an old number must be free again.
KEEP_PROCESSED = timedelta(days=3)
KEEP_FAILED = timedelta(days=60)


class InboxState(enum.StrEnum):
    WAITING = "waiting"
    DONE = "done"
    #: A defect of ours: kept for a person to look at.
    FAILED = "failed"


def store_updates(
    connection: Connection, updates: Sequence[dict[str, Any]], allowed: frozenset[int], now: datetime
) -> int:
    """Store what allowed people sent and return how many updates were new.

    Of strangers only the user id and a count are kept. Repeated updates change nothing.
    """
    new = 0
    for raw in updates:
        user_id = find_sender(raw)
        if user_id in allowed:
            new += _store(connection, raw, now)
        elif user_id is not None and abs(user_id) < _MOST_USER_ID:
            count_refusal(connection, user_id, Reason.STRANGER, now)
        else:
            count_refusal(connection, OTHERS, Reason.MALFORMED, now)
    table = telegram_inbox.c
    for state, kept in ((InboxState.DONE, KEEP_PROCESSED), (InboxState.FAILED, KEEP_FAILED)):
        old = (table.state == state) & (table.processed_at < now - kept)
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
    table = telegram_people.c
    changed = connection.execute(
        update(telegram_people).where(table.user_id == user_id).values(allowed=True, language=language)
    )
    if changed.rowcount == 0:
        connection.execute(
            insert(telegram_people).values(
                user_id=user_id, allowed=True, language=language, first_seen_at=now
            )
        )


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

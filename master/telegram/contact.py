"""When Telegram was last heard from, so that a long silence is noticed, also across restarts.

Telegram keeps what people do for 24 hours (https://core.telegram.org/bots/api#getting-updates): after a
longer silence a tap may be gone for ever, and what still waits is told again.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from master.telegram.tables import telegram_moments
from tasks.log import say

log = logging.getLogger(__name__)

LONG_SILENCE = timedelta(hours=24)

_CONTACT = "contact"
_OUTAGE_OVER = "outage_over"


def note_contact(connection: Connection, now: datetime) -> None:
    """Telegram answers now."""
    last = _moment(connection, _CONTACT)
    if last is not None and now - last > LONG_SILENCE:
        _put(connection, _OUTAGE_OVER, now)
        say(log, logging.WARNING, "telegram_was_away", hours=round((now - last) / timedelta(hours=1)))
    _put(connection, _CONTACT, now)


def outage_over(connection: Connection) -> datetime | None:
    """When the last long silence ended; None when there was none."""
    return _moment(connection, _OUTAGE_OVER)


def _moment(connection: Connection, name: str) -> datetime | None:
    return connection.execute(select(telegram_moments.c.at).where(telegram_moments.c.name == name)).scalar()


def _put(connection: Connection, name: str, at: datetime) -> None:
    changed = connection.execute(
        update(telegram_moments).where(telegram_moments.c.name == name).values(at=at)
    )
    if changed.rowcount == 0:
        connection.execute(insert(telegram_moments).values(name=name, at=at))

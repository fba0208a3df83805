"""What is to be said about notices: once when one opens, once when it is over."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from master.fleet.notices import list_notices
from master.locale import translations_for
from master.telegram.messages import language_of
from master.telegram.tables import telegram_messages
from master.telegram.texts import Texts

#: A notice that was over for longer while nobody could be told is no news any more.
_NEWS = timedelta(days=2)


def untold_notices(connection: Connection, users: Iterable[int], now: datetime) -> list[tuple[int, str, str]]:
    """Whom to tell, under which key, and the HTML in their language. That something is over is told to
    those who were told of it."""
    noted = list_notices(connection, since=now - _NEWS)
    told = _told(connection) if noted else set()
    untold: list[tuple[int, str, str]] = []
    for user_id in sorted(users) if noted else ():
        texts = Texts(translations_for(language_of(connection, user_id)))
        for notice in noted:
            opened, over = f"notice:{notice.id}:{user_id}", f"notice-over:{notice.id}:{user_id}"
            if notice.closed_at is None and opened not in told:
                untold.append((user_id, opened, texts.notice(notice)))
            elif notice.closed_at is not None and opened in told and over not in told:
                untold.append((user_id, over, texts.notice_over(notice)))
    return untold


def _told(connection: Connection) -> set[str]:
    key = telegram_messages.c.key
    return set(connection.execute(select(key).where(key.startswith("notice"))).scalars())

"""Who reads on Telegram, whether they can be reached, and a message to try it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from master.locale import LANGUAGES, translations_for
from master.settings import Settings
from master.telegram.messages import MessageKind, MessageState, OwnMessage, language_of, reserve_message
from master.telegram.tables import telegram_messages, telegram_people
from master.telegram.texts import Texts
from tasks.errors import Refused
from tasks.record import Record

_TEST = "test:"
_BETWEEN_TESTS = timedelta(seconds=20)
_TESTS_SHOWN = 5


class Reader(Record):
    """A person whom the owner's settings name."""

    user_id: int
    #: Of ours, in which they are written to.
    language: str
    #: When they first wrote to the bot; None: never, so that it may not write to them either.
    since: datetime | None
    last_sent_at: datetime | None
    #: Messages that wait because they have blocked the bot, or not begun a chat with it.
    unreachable: int


def list_readers(connection: Connection, users: Sequence[int]) -> list[Reader]:
    people = telegram_people.c
    known = {
        row.user_id: row
        for row in connection.execute(select(telegram_people).where(people.user_id.in_(users)))
    }
    table = telegram_messages.c
    counted = connection.execute(
        select(
            table.chat_id,
            func.max(table.sent_at).label("last"),
            func.count().filter(table.state == MessageState.UNREACHABLE).label("unreachable"),
        )
        .where(table.chat_id.in_(users))
        .group_by(table.chat_id)
    )
    sent = {row.chat_id: row for row in counted}
    return [
        Reader(
            user_id=user_id,
            language=_ours(known[user_id].language) if user_id in known else LANGUAGES[0],
            since=known[user_id].first_seen_at if user_id in known else None,
            last_sent_at=sent[user_id].last if user_id in sent else None,
            unreachable=sent[user_id].unreachable if user_id in sent else 0,
        )
        for user_id in users
    ]


def send_tests(connection: Connection, settings: Settings, *, by: str, now: datetime) -> int:
    """Reserve a message for everybody who is told things; the Telegram process sends it within seconds.
    Returns for how many. ``Refused``: there is nobody, no bot, or one was sent a moment ago."""
    if settings.telegram_token is None:
        raise Refused(
            f"no bot is set: put D8_TELEGRAM_TOKEN and D8_TELEGRAM_USERS into {settings.home / 'd8.env'} and start the "
            f"master again"
        )
    if not settings.telegram_users:
        raise Refused(
            f"nobody is named: put your numbers into D8_TELEGRAM_USERS in {settings.home / 'd8.env'} and start the "
            f"master again"
        )
    last = list_tests(connection, limit=1)
    if last and now - last[0].created_at < _BETWEEN_TESTS:
        raise Refused("a test was sent a moment ago: look there, and wait some seconds before the next")
    for user_id in settings.telegram_users:
        texts = Texts(translations_for(language_of(connection, user_id)))
        reserve_message(
            connection,
            f"{_TEST}{now.isoformat()}:{user_id}",
            MessageKind.NOTE,
            user_id,
            now,
            text=texts.trial(by),
        )
    return len(settings.telegram_users)


def list_tests(connection: Connection, limit: int = _TESTS_SHOWN) -> list[OwnMessage]:
    """The newest tests, with what came of each."""
    table = telegram_messages.c
    query = (
        select(telegram_messages)
        # Keys hold the time: their order is the order in which they were made.
        .where(table.key.startswith(_TEST))
        .order_by(table.key.desc())
        .limit(limit)
    )
    return [OwnMessage.model_validate(row) for row in connection.execute(query).mappings()]


def _ours(tag: str) -> str:
    base = tag.partition("-")[0].lower()
    return base if base in LANGUAGES else LANGUAGES[0]

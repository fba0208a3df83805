"""Act on one stored update, once."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from master.clock import Clock
from master.locale import translations_for
from master.store import Database
from master.telegram.inbox import set_aside, take_update
from master.telegram.messages import MessageKind, reserve_message
from master.telegram.refusals import OTHERS, Reason, count_refusal
from master.telegram.respond import Answer, Responder
from master.telegram.texts import Texts
from master.telegram.updates import Tap, TextMessage, find_incoming, find_sender
from master.telegram.ways import Ways
from tasks.errors import InvalidInput, Unhealthy
from tasks.log import say

log = logging.getLogger(__name__)


def process_update(
    database: Database,
    update_id: int,
    *,
    ways: Ways,
    clock: Clock,
) -> Answer | None:
    """Take the update, decide, and reserve the answers: one transaction, all of it or nothing.

    ``Unhealthy`` when the database does not answer; the update then waits for the next try.
    """
    try:
        with database.write() as connection:
            raw = take_update(connection, update_id, clock())
            incoming = None if raw is None else _read(connection, update_id, raw, clock())
            if incoming is None:
                return None
            responder = Responder(connection=connection, incoming=incoming, ways=ways, now=clock())
            return responder.respond()
    except Unhealthy:
        raise
    except Exception as error:
        # A defect of ours, and trying again would meet it again: keep the update for a person to
        # look at, tell its sender, and go on with the others.
        log.exception("telegram_update_failed update=%s", update_id)
        return _set_aside(database, update_id, error, clock)


def _read(
    connection: Connection, update_id: int, raw: dict[str, Any], now: datetime
) -> TextMessage | Tap | None:
    """What the update says; None when it is nothing that we act on. Of updates that cannot be read, one
    an hour is kept for a person to look at."""
    trouble = ""
    try:
        incoming = find_incoming(raw)
    except InvalidInput as error:
        incoming, trouble = None, str(error)
    if trouble or (incoming is None and "callback_query" in raw):
        sender = find_sender(raw) or OTHERS
        if count_refusal(connection, sender, Reason.MALFORMED, now, sample=trouble) and trouble:
            set_aside(connection, update_id, trouble, now)
            say(log, logging.WARNING, "telegram_update_unreadable", update=update_id, why=trouble)
    return incoming


def _set_aside(database: Database, update_id: int, error: Exception, clock: Clock) -> Answer | None:
    with database.write() as connection:
        raw = take_update(connection, update_id, clock())
        incoming = None if raw is None else _read(connection, update_id, raw, clock())
        if incoming is None:
            return None
        set_aside(connection, update_id, f"{type(error).__name__}: {error}", clock())
        texts = Texts(translations_for(incoming.sender.language))
        if not isinstance(incoming, TextMessage):
            return Answer(query_id=incoming.query_id, text=texts.failed_answer())
        reserve_message(
            connection,
            f"reply:{update_id}",
            MessageKind.NOTE,
            incoming.chat_id,
            clock(),
            text=texts.not_processed(),
        )
        return None

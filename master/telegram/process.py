"""Act on one stored update, once."""

from __future__ import annotations

import logging
from collections.abc import Callable

from master.approvals import Policy
from master.clock import Clock
from master.locale import translations_for
from master.store import Database
from master.telegram.inbox import set_aside, take_update
from master.telegram.messages import MessageKind, reserve_message
from master.telegram.respond import Answer, Facts, Responder
from master.telegram.texts import Texts
from master.telegram.updates import TextMessage, find_incoming
from tasks.errors import InvalidInput, Unhealthy
from tasks.log import say

log = logging.getLogger(__name__)


def process_update(
    database: Database,
    update_id: int,
    *,
    key: bytes,
    facts: Facts,
    policy: Callable[[], Policy],
    clock: Clock,
) -> Answer | None:
    """Take the update, decide, and reserve the answers: one transaction, all of it or nothing.

    ``Unhealthy`` when the database does not answer; the update then waits for the next try.
    """
    try:
        with database.write() as connection:
            raw = take_update(connection, update_id, clock())
            incoming = None if raw is None else find_incoming(raw)
            if incoming is None:
                return None
            responder = Responder(
                connection=connection,
                incoming=incoming,
                key=key,
                facts=facts,
                policy=policy(),
                now=clock(),
            )
            return responder.respond()
    except Unhealthy:
        raise
    except Exception as error:
        # A defect of ours, and trying again would meet it again: keep the update for a person to
        # look at, tell its sender, and go on with the others.
        log.exception("telegram_update_failed update=%s", update_id)
        return _set_aside(database, update_id, error, clock)


def _set_aside(database: Database, update_id: int, error: Exception, clock: Clock) -> Answer | None:
    with database.write() as connection:
        raw = take_update(connection, update_id, clock())
        if raw is None:
            return None
        set_aside(connection, update_id, f"{type(error).__name__}: {error}", clock())
        try:
            incoming = find_incoming(raw)
        except InvalidInput as unreadable:
            say(log, logging.WARNING, "telegram_update_unreadable", update=update_id, why=unreadable)
            return None
        if incoming is None:
            return None
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

"""What is to be said is said: announcements, answers, and edits of cards that are out of date.

Each message is a row before it is sent. When Telegram's answer is lost, the row stays reserved and is
sent again: a second copy is better than silence.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from datetime import datetime, timedelta

from sqlalchemy import Connection

from master.approvals import Approval, ApprovalState, list_approvals
from master.clock import Clock
from master.store import Database
from master.telegram.api import MessageRefused, PersonUnreachable, TelegramApi, TelegramAway, TooFast
from master.telegram.content import Content, find_content, stale_cards
from master.telegram.messages import (
    MessageKind,
    MessageState,
    OwnMessage,
    announced_keys,
    change_message,
    messages_to_send,
    reserve_message,
)
from master.telegram.notices import untold_notices
from tasks.log import say

log = logging.getLogger(__name__)

#: Messages sent in one pass; new rows and edits are looked for again after each.
_MOST_AT_ONCE = 30


@dataclasses.dataclass(kw_only=True)
class Outbox:
    database: Database
    api: TelegramApi
    users: frozenset[int]
    #: Signs what buttons carry.
    key: bytes
    clock: Clock
    #: Chats that Telegram told us to leave alone, and until when.
    _paused: dict[int, datetime] = dataclasses.field(default_factory=dict)

    async def run_pass(self) -> int:
        """Announce, send, edit; returns how many messages were sent or edited.

        ``TelegramAway`` when Telegram does not answer: the rest waits for the next pass.
        """
        to_send, to_edit = await asyncio.to_thread(self._plan)
        done = 0
        away: TelegramAway | None = None
        for batch in (to_send, to_edit):
            try:
                for message in batch:
                    done += await self._deliver(message)
            except TelegramAway as error:
                away = error
        if away is not None:
            raise away
        return done

    def _plan(self) -> tuple[list[OwnMessage], list[OwnMessage]]:
        """Reserve announcements of what is new, then list what to send and what to edit."""
        now = self.clock()
        self._paused = {chat: until for chat, until in self._paused.items() if until > now}
        with self.database.read() as connection:
            missing = unannounced(connection, self.users)
            untold = untold_notices(connection, self.users, now)
        if missing or untold:
            with self.database.write() as connection:
                for user_id, approval in missing:
                    _announce(connection, user_id, approval, now)
                for user_id, key, text in untold:
                    reserve_message(connection, key, MessageKind.NOTE, user_id, now, text=text)
        with self.database.read() as connection:
            to_edit = [card for card in stale_cards(connection) if card.chat_id not in self._paused]
            return messages_to_send(connection, _MOST_AT_ONCE, list(self._paused)), to_edit

    async def _deliver(self, message: OwnMessage) -> bool:
        """Send or edit one message and record what came of it."""
        if message.chat_id in self._paused:
            return False
        content = await asyncio.to_thread(self._find_content, message)
        if content is None:
            await self._record(message, state=MessageState.DROPPED)
            return False
        try:
            await self._call(message, content)
        except TooFast as error:
            self._paused[message.chat_id] = self.clock() + timedelta(seconds=error.retry_after_s)
            say(log, logging.WARNING, "telegram_paused", chat=message.chat_id, seconds=error.retry_after_s)
            return False
        except PersonUnreachable as error:
            await self._give_up(message, content, MessageState.UNREACHABLE, error)
            return False
        except MessageRefused as error:
            await self._give_up(message, content, MessageState.REFUSED, error)
            return False
        except TelegramAway as error:
            await self._record(message, attempts=message.attempts + 1, error=str(error))
            raise
        return True

    async def _call(self, message: OwnMessage, content: Content) -> None:
        if message.message_id is not None:
            await self.api.edit(message.chat_id, message.message_id, content.text, content.buttons)
            await self._record(message, shown=content.shown, attempts=0, error="")
            return
        message_id = await self.api.send(
            message.chat_id, content.text, content.buttons, ask_reply=content.ask_reply
        )
        await self._record(
            message,
            state=MessageState.SENT,
            message_id=message_id,
            shown=content.shown,
            revision=content.revision,
            sent_at=self.clock(),
            attempts=0,
            error="",
        )

    async def _give_up(
        self, message: OwnMessage, content: Content, state: MessageState, error: Exception
    ) -> None:
        """Telegram's no is final for now. A card that cannot be edited is not tried for ever: whoever
        presses its buttons later is told how things stand, and it is edited then.
        """
        level = logging.ERROR if state is MessageState.REFUSED else logging.WARNING
        say(log, level, "telegram_not_delivered", message=message.key, chat=message.chat_id, why=error)
        if message.message_id is not None:
            await self._record(message, shown=content.shown, error=str(error))
        else:
            await self._record(message, state=state, error=str(error))

    async def _record(self, message: OwnMessage, **values: object) -> None:
        def write() -> None:
            with self.database.write() as connection:
                change_message(connection, message.key, **values)

        await asyncio.to_thread(write)

    def _find_content(self, message: OwnMessage) -> Content | None:
        with self.database.read() as connection:
            return find_content(connection, message, self.key)


def announcement_key(approval: Approval, user_id: int) -> str:
    return f"announce:{approval.id}:{approval.revision}:{user_id}"


def unannounced(connection: Connection, users: frozenset[int]) -> list[tuple[int, Approval]]:
    """Who has not been told of which pending request."""
    pending = list_approvals(connection, ApprovalState.PENDING)
    known = announced_keys(connection, [approval.id for approval in pending]) if pending else set()
    return [
        (user_id, approval)
        for approval in pending
        for user_id in sorted(users)
        if announcement_key(approval, user_id) not in known
    ]


def _announce(connection: Connection, user_id: int, approval: Approval, now: datetime) -> None:
    reserve_message(
        connection,
        announcement_key(approval, user_id),
        MessageKind.ANNOUNCEMENT,
        user_id,
        now,
        approval_id=approval.id,
        revision=approval.revision,
    )

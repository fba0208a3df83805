"""What is to be said is said: announcements, answers, and edits of cards that are out of date.

Each message is a row before it is sent. When Telegram's answer is lost, the row stays reserved and is
sent again: a second copy is better than silence.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from master.approvals import Policy
from master.clock import Clock
from master.store import Database
from master.store.artifacts import ArtifactFolder
from master.telegram.announce import find_tellings
from master.telegram.api import MessageRefused, PersonUnreachable, TelegramApi, TelegramAway, TooFast
from master.telegram.content import Content, File, find_content, stale_cards
from master.telegram.messages import (
    NO_PHOTO,
    MessageKind,
    MessageState,
    OwnMessage,
    change_message,
    messages_to_send,
    reserve_message,
)
from master.telegram.notices import untold_notices
from master.telegram.pacing import Limits, Pace
from tasks.errors import InvalidInput, NotFound, Unhealthy
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
    #: The owner's rules, read when they are needed.
    policy: Callable[[], Policy]
    #: Where images and files are kept.
    folder: ArtifactFolder
    clock: Clock
    #: Called when somebody is asked.
    expect_answers: Callable[[], None] = lambda: None
    limits: Limits = dataclasses.field(default_factory=Limits)
    #: Chats that Telegram told us to leave alone, and until when.
    _paused: dict[int, datetime] = dataclasses.field(default_factory=dict)
    #: Seconds until what the pace held back may be sent; None when nothing was.
    held_s: float | None = None

    def __post_init__(self) -> None:
        self._pace = Pace(self.limits)
        self._policy_trouble = ""

    async def run_pass(self) -> int:
        """Announce, send, edit; returns how many messages were sent or edited.

        ``TelegramAway`` when Telegram does not answer: the rest waits for the next pass.
        """
        self.held_s = None
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
        policy = self._readable_policy()
        with self.database.read() as connection:
            tellings = find_tellings(connection, self.users, policy, self.key, now) if policy else []
            untold = untold_notices(connection, self.users, now)
        if tellings:
            self.expect_answers()
        if tellings or untold:
            with self.database.write() as connection:
                for telling in tellings:
                    fields = telling.model_dump(exclude={"buttons"})
                    reserve_message(connection, **fields, buttons=telling.buttons, now=now)
                for user_id, key, text in untold:
                    reserve_message(connection, key, MessageKind.NOTE, user_id, now, text=text)
        held = self._pace.held(now)
        with self.database.read() as connection:
            to_send = messages_to_send(connection, _MOST_AT_ONCE, [*self._paused, *held])
            to_edit = stale_cards(connection)
            waiting = messages_to_send(connection, 1, list(self._paused)) if held and not to_send else []
        if waiting:
            self._hold(held.get(waiting[0].chat_id, 0.0))
        return to_send, [card for card in to_edit if card.chat_id not in self._paused]

    async def _deliver(self, message: OwnMessage) -> bool:
        """Send or edit one message and record what came of it."""
        if message.chat_id in self._paused:
            return False
        wait_s = self._pace.wait_s(message.chat_id, self.clock())
        if wait_s > 0:
            self._hold(wait_s)
            return False
        content = await asyncio.to_thread(self._find_content, message)
        if content is None:
            await self._record(message, state=MessageState.DROPPED)
            return False
        try:
            try:
                await self._call(message, content)
            finally:
                # From here on it is certain that Telegram has it: the next comes later by a whole span.
                self._pace.note(message.chat_id, self.clock())
        except TooFast as error:
            self._paused[message.chat_id] = self.clock() + timedelta(seconds=error.retry_after_s)
            self._hold(error.retry_after_s)
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
            await self._edit(message, message.message_id, content)
            await self._record(message, shown=content.shown, attempts=0, error="")
            return
        message_id = None
        photo = ""
        data = await asyncio.to_thread(self._read, content.file) if content.file else None
        if content.file is not None and data is not None:
            message_id, photo = await self._send_file(message, content, content.file, data)
        if message_id is None and message.kind is MessageKind.ATTACHMENT:
            await self._record(
                message, state=MessageState.DROPPED, error="the file is not kept here any more"
            )
            return
        if message_id is None:
            message_id = await self.api.send(
                message.chat_id, content.text, content.buttons, ask_reply=content.ask_reply
            )
        await self._record(
            message,
            state=MessageState.SENT,
            message_id=message_id,
            photo=photo,
            shown=content.shown,
            revision=content.revision,
            sent_at=self.clock(),
            attempts=0,
            error="",
        )

    async def _edit(self, message: OwnMessage, message_id: int, content: Content) -> None:
        """A message with a photo has a caption, and no text."""
        if message.photo not in ("", NO_PHOTO):
            await self.api.edit_caption(message.chat_id, message_id, content.caption, content.buttons)
        else:
            await self.api.edit(message.chat_id, message_id, content.text, content.buttons)

    async def _send_file(
        self, message: OwnMessage, content: Content, file: File, data: bytes
    ) -> tuple[int | None, str]:
        """Number and photo of the message; no number when Telegram did not want this image, of a card:
        the card is sent as text. Evidence that is no photo for Telegram is sent as a document.
        """
        if file.as_photo:
            try:
                sent = await self.api.send_photo(message.chat_id, data, content.caption, content.buttons)
            except MessageRefused as error:
                say(log, logging.WARNING, "telegram_photo_refused", message=message.key, why=error)
                await self._record(message, photo=NO_PHOTO)
            else:
                return sent, file.digest
        if message.kind is not MessageKind.ATTACHMENT:
            return None, NO_PHOTO
        return await self.api.send_document(message.chat_id, file.name, data, content.caption), ""

    def _read(self, file: File) -> bytes | None:
        """The file's bytes; None when they are not kept here, or damaged."""
        if not file.digest:
            return file.text.encode("utf-8", "replace")
        try:
            return self.folder.read(file.digest)
        except (NotFound, Unhealthy, OSError) as error:
            say(log, logging.WARNING, "telegram_file_missing", digest=file.digest, why=error)
            return None

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

    def _readable_policy(self) -> Policy | None:
        """None while the owner's file is wrong: nothing is announced under rules that cannot be read, but
        answers and edits go on."""
        try:
            policy = self.policy()
        except InvalidInput as error:
            if str(error) != self._policy_trouble:
                say(log, logging.ERROR, "telegram_announces_nothing", why=error)
            self._policy_trouble = str(error)
            return None
        self._policy_trouble = ""
        return policy

    def _hold(self, seconds: float) -> None:
        """Something waits for so long: the next pass need not come before, nor much later."""
        self.held_s = seconds if self.held_s is None else min(self.held_s, seconds)

    def _find_content(self, message: OwnMessage) -> Content | None:
        with self.database.read() as connection:
            return find_content(connection, message, self.key)

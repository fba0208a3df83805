"""The three loops of the door: take updates in, act on them, say what is to be said.

Each can be killed between any two lines. What was not stored is delivered by Telegram again, what was
not processed is processed at the next start, and what was not recorded as sent is sent again.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from master.clock import Clock
from master.locale import translations_for
from master.store import Database
from master.store.artifacts import ArtifactFolder
from master.telegram.api import (
    MessageRefused,
    PersonUnreachable,
    TelegramApi,
    TelegramAway,
    TokenRefused,
    TooFast,
)
from master.telegram.commands import NAMES
from master.telegram.contact import note_contact
from master.telegram.inbox import store_updates, waiting_updates
from master.telegram.outbox import Outbox
from master.telegram.pacing import Limits
from master.telegram.process import process_update
from master.telegram.respond import Answer
from master.telegram.texts import Texts
from master.telegram.ways import Ways
from master.telegram.webhook import Webhook
from tasks.errors import Unhealthy
from tasks.log import say

log = logging.getLogger(__name__)

#: Seconds that a message in flight is given to finish when the process is asked to stop.
_GRACE_S = 5.0
#: A long poll that brings nothing earlier was not one.
_TOO_SOON_S = 0.5
_NOTE_CONTACT_EVERY = timedelta(minutes=1)
_WATCH_WEBHOOK_S = 60.0
_LOOK_INTO_INBOX_S = 0.2
#: What is held back for longer waits without being looked at in between; new messages do not.
_LONGEST_HOLD_S = 1.0


class Bell:
    """Wakes one waiting loop; rung while nobody waits, it is heard at the next wait."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self, longest_s: float) -> None:
        try:
            await asyncio.wait_for(self._rung.wait(), longest_s)
        except TimeoutError:
            return
        self._rung.clear()


@dataclasses.dataclass(kw_only=True)
class Door:
    """The Telegram door of one bot: give it a database and an API, and run it until it is stopped."""

    database: Database
    api: TelegramApi
    users: frozenset[int]
    ways: Ways
    #: Where images and files are kept.
    folder: ArtifactFolder
    clock: Clock
    #: Seconds to wait after so many failures in a row.
    retry_delay_s: Callable[[int], float]
    #: How long Telegram may hold a request for updates open.
    long_poll_s: int = 25
    #: How often the database is looked at for what other processes asked or decided.
    look_every_s: float = 1.0
    limits: Limits = dataclasses.field(default_factory=Limits)
    #: Where Telegram sends updates to; None: they are fetched.
    webhook: Webhook | None = None
    #: Called when somebody is asked: an answer may come soon.
    expect_answers: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.outbox = Outbox(
            database=self.database,
            api=self.api,
            users=self.users,
            key=self.ways.key,
            policy=self.ways.policy,
            folder=self.folder,
            clock=self.clock,
            expect_answers=self.expect_answers,
            limits=self.limits,
        )
        self._introduced = False
        self._contact_at: datetime | None = None
        # None: the earliest update that is not confirmed yet.
        self._offset: int | None = None
        self._closing = asyncio.Event()
        self._inbox_bell = Bell()
        self._outbox_bell = Bell()

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set. ``TokenRefused`` when Telegram does not know the bot."""
        intake = asyncio.create_task(self._repeat("intake", self._take_turn))
        desk = asyncio.create_task(self._repeat("inbox", self._act_turn))
        outbox = asyncio.create_task(self._repeat("outbox", self._say_turn))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({intake, desk, outbox, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._closing.set()
            self._inbox_bell.ring()
            self._outbox_bell.ring()
            # Cancelling a fetch loses nothing: what it would have brought is not confirmed.
            intake.cancel()
            stopped.cancel()
            await asyncio.wait({desk, outbox}, timeout=_GRACE_S)
            for task in (desk, outbox):
                task.cancel()
            ended = await asyncio.gather(intake, desk, outbox, stopped, return_exceptions=True)
        for outcome in ended:
            if isinstance(outcome, Exception):
                raise outcome

    async def take_in(self) -> int:
        """Fetch updates, store them, and only then let the offset move on; returns how many are new.

        After an empty answer all that came before is confirmed, and the offset is left out: Telegram
        may choose lower numbers after a week without updates.
        """
        updates = await self.api.fetch_updates(self._offset, self.long_poll_s)
        await self._note_contact()
        if not updates:
            self._offset = None
            return 0
        new = await asyncio.to_thread(self._store, updates)
        self._offset = max(int(update["update_id"]) for update in updates) + 1
        return new

    async def act(self) -> int:
        """Process every stored update, then end the waiting signs; returns how many were processed."""
        update_ids = await asyncio.to_thread(self._waiting)
        answers = []
        for update_id in update_ids:
            answer = await asyncio.to_thread(self._process, update_id)
            if answer is not None:
                answers.append(answer)
        if update_ids:
            self._outbox_bell.ring()
        await asyncio.gather(*(self._answer(answer) for answer in answers))
        return len(update_ids)

    async def introduce(self) -> None:
        """Tell Telegram how updates are to come, and which commands there are. The menu is only a help:
        the door does without. ``TelegramAway`` when the webhook could not be set."""
        if self.webhook is not None:
            await self.api.set_webhook(self.webhook.url, self.webhook.secret)
        else:
            # One that is left over would keep updates from being fetched; a server without webhooks has none.
            await self._at_best("deleteWebhook", self.api.delete_webhook())
        for number, language in enumerate(("es", "")):
            texts = Texts(translations_for(language or "en"))
            menu = {names[number]: texts.what_for(order) for order, names in NAMES.items()}
            await self._at_best("setMyCommands", self.api.set_commands(menu, language))
        self._introduced = True

    async def _at_best(self, what: str, call: Awaitable[None]) -> None:
        try:
            await call
        except (TelegramAway, MessageRefused, PersonUnreachable, TokenRefused) as error:
            # A token that is really wrong is told by the first fetch.
            say(log, logging.INFO, "telegram_does_without", call=what, why=error)

    async def _take_turn(self) -> None:
        if not self._introduced:
            await self.introduce()
        if self.webhook is not None:
            await self._watch_webhook()
            return
        began_s = time.monotonic()
        try:
            new = await self.take_in()
        except TelegramAway:
            # Perhaps somebody has set a webhook meanwhile.
            self._introduced = False
            raise
        if new:
            self._inbox_bell.ring()
        elif time.monotonic() - began_s < min(_TOO_SOON_S, self.long_poll_s):
            # A server that does not wait for updates must not be asked without end.
            await self._pause(self.look_every_s)

    async def _watch_webhook(self) -> None:
        """Look now and then whether Telegram answers, and whether its updates arrive."""
        trouble = await self.api.webhook_trouble()
        await self._note_contact()
        if trouble:
            say(log, logging.WARNING, "telegram_webhook_trouble", why=trouble)
        await self._pause(_WATCH_WEBHOOK_S)

    async def _act_turn(self) -> None:
        if not await self.act():
            # Updates that come by the webhook are stored by another process, which rings no bell here.
            await self._inbox_bell.wait(30.0 if self.webhook is None else _LOOK_INTO_INBOX_S)

    async def _say_turn(self) -> None:
        if not await self.outbox.run_pass():
            held_s = self.outbox.held_s
            await self._outbox_bell.wait(
                self.look_every_s if held_s is None else min(held_s, _LONGEST_HOLD_S)
            )

    async def _note_contact(self) -> None:
        now = self.clock()
        if self._contact_at is not None and now - self._contact_at < _NOTE_CONTACT_EVERY:
            return

        def note() -> None:
            with self.database.write(durable=False) as connection:
                note_contact(connection, now)

        await asyncio.to_thread(note)
        self._contact_at = now

    async def _repeat(self, name: str, turn: Callable[[], Awaitable[None]]) -> None:
        """Take turns until the door closes; after trouble that passes, wait longer and longer."""
        failures = 0
        while not self._closing.is_set():
            try:
                await turn()
            except TokenRefused:
                raise
            except Unhealthy as error:
                failures += 1
                wait_s = error.retry_after_s if isinstance(error, TooFast) else self.retry_delay_s(failures)
                say(log, logging.WARNING, "telegram_waits", loop=name, seconds=round(wait_s, 1), why=error)
                await self._pause(wait_s)
            else:
                if failures:
                    say(log, logging.INFO, "telegram_is_back", loop=name, failures=failures)
                failures = 0

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return

    async def _answer(self, answer: Answer) -> None:
        """End the waiting sign of a tap. What the tap did is recorded: a lost answer loses nothing."""
        try:
            await self.api.answer(answer.query_id, answer.text)
        except (TelegramAway, MessageRefused, PersonUnreachable) as error:
            say(log, logging.WARNING, "telegram_answer_lost", query=answer.query_id, why=error)

    def _store(self, updates: list[dict[str, Any]]) -> int:
        with self.database.write() as connection:
            return store_updates(connection, updates, self.users, self.clock())

    def _waiting(self) -> list[int]:
        with self.database.read() as connection:
            return waiting_updates(connection)

    def _process(self, update_id: int) -> Answer | None:
        return process_update(self.database, update_id, ways=self.ways, clock=self.clock)

"""One reader for all open event streams: a page that listens costs no query of its own.

While somebody listens, the hub looks once every half second for events that are new, encodes what it found
once, and wakes the listeners in small groups, so that claims and pages are answered in between. A listener
holds one number, the event that it was told last, and never a queue: one that is behind, because its
connection is slow or because it was away, is told that there is news, in one message, however much that was.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable

from master.events import News
from tasks.errors import D8Error
from tasks.log import say

log = logging.getLogger("d8.web")

LOOK_EVERY_S = 0.5
#: A proxy closes what is silent for a minute.
SPEAK_EVERY_S = 15.0
#: Then the browser connects again, and its token is checked again; spread, so that not all come at once.
LASTS_S = (270.0, 330.0)
#: Listeners woken before others have their turn: some milliseconds of work.
_GROUP = 100
#: Runs named in a message; the rest is "more".
MOST_RUNS = 50

COMMENT = b": nothing new\n\n"

#: What is new since an event, or, with None, where the events end.
Look = Callable[[int | None], Awaitable[News]]
Sleep = Callable[[float], Awaitable[None]]


def encode_news(news: News) -> bytes:
    """One message: the last event's number, how many there were, and the runs that they are of. ``more`` says
    that other runs may have changed, too."""
    runs = sorted(news.runs)
    more = news.more or len(runs) > MOST_RUNS
    data = json.dumps({"events": news.events, "runs": runs[:MOST_RUNS], "more": more})
    return f"id: {news.seq}\nevent: news\ndata: {data}\n\n".encode()


class Listener:
    """One open stream."""

    __slots__ = ("_hub", "_waiting", "ended", "ends_at", "seq", "spoke_at")

    def __init__(self, hub: Hub, seq: int | None, now_s: float) -> None:
        self._hub = hub
        self._waiting: asyncio.Future[None] | None = None
        #: Nobody stands behind it any more.
        self.ended = False
        #: The event that it was told last; None until the hub has looked.
        self.seq = seq
        self.spoke_at = now_s
        self.ends_at = now_s + random.uniform(*LASTS_S)

    async def next(self) -> bytes:
        """What to send next, as soon as there is something; empty when the stream is to end."""
        hub = self._hub
        while True:
            now_s = hub.monotonic()
            if self.ended or now_s >= self.ends_at:
                return b""
            if self.seq is None:
                self.seq = hub.seq
            if hub.seq is not None and self.seq != hub.seq:
                text = hub.message if self.seq == hub.before else hub.collapsed
                self.seq, self.spoke_at = hub.seq, now_s
                return text
            if now_s - self.spoke_at >= SPEAK_EVERY_S:
                self.spoke_at = now_s
                return COMMENT
            await self._wait()

    async def _wait(self) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def wake(self, now_s: float) -> bool:
        """Whether it waited and has something to say now. One that is still sending is left alone: it will
        compare for itself."""
        due = (
            self.ended
            or self.seq != self._hub.seq
            or now_s - self.spoke_at >= SPEAK_EVERY_S
            or now_s >= self.ends_at
        )
        if not due or self._waiting is None or self._waiting.done():
            return False
        self._waiting.set_result(None)
        return True


class Hub:
    """Who listens, and what is new. Lives in one event loop."""

    def __init__(
        self,
        look: Look,
        ending: Callable[[], bool],
        *,
        sleep: Sleep = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._ending = ending
        self._sleep = sleep
        self.monotonic = monotonic
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        #: The newest event; None before the first look. ``message`` leads there from ``before``, and
        #: ``collapsed`` from anywhere.
        self.seq: int | None = None
        self.before: int | None = None
        self.message = b""
        self.collapsed = b""

    def __len__(self) -> int:
        return len(self._listeners)

    def join(self, seq: int | None) -> Listener:
        """A stream that was told of the events up to ``seq``, or, with None, of those that there are now."""
        if self._task is None or self._task.done():
            self.seq = self.before = None
            self._task = asyncio.get_running_loop().create_task(self._run())
        listener = Listener(self, seq, self.monotonic())
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    async def _run(self) -> None:
        """Until nobody listens or the server ends. Whatever ends it ends the streams, too: a browser comes
        back by itself, and its stream must not stay open with nobody behind it."""
        try:
            while self._listeners and not self._ending():
                started_s = self.monotonic()
                await self._find_news()
                await self._tell()
                # With so many listeners that telling them takes long, others get half of the time.
                await self._sleep(max(LOOK_EVERY_S, self.monotonic() - started_s))
        finally:
            for listener in self._listeners:
                listener.ended = True
                listener.wake(self.monotonic())
            self._listeners.clear()

    async def _find_news(self) -> None:
        try:
            found = await self._look(self.seq)
        except D8Error as error:
            # The database is away: the streams stay, and their comments keep them open.
            say(log, logging.WARNING, "events_not_read", error=error)
            return
        if found.seq == self.seq:
            return
        self.before, self.seq = self.seq, found.seq
        self.message = encode_news(found)
        self.collapsed = encode_news(News(seq=found.seq, events=0, runs=frozenset(), more=True))

    async def _tell(self) -> None:
        woken = 0
        for listener in list(self._listeners):
            woken += listener.wake(self.monotonic())
            if woken >= _GROUP:
                woken = 0
                await asyncio.sleep(0)

"""Keeps steps moving: hears the news of each committed write and rings at once.

A thread of its own, so that no door waits for the broker. What it misses, because the broker or
this process was away, the sweep finds within seconds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from master.clock import Clock
from master.dispatch.bell import Bell
from master.dispatch.publish import Posting, publish_ready
from master.settings import Settings
from master.store import Database, News
from tasks.errors import D8Error
from tasks.log import say

log = logging.getLogger("d8.conductor")

#: Under load, tickets are sent in lots: between two lots passes so much time. A lone step never waits.
_BETWEEN_LOTS_S = 0.01

T = TypeVar("T")


def write_directly(database: Database) -> Callable[[Callable[[Connection], T]], T]:
    """Light writes in the calling thread, for processes without a ``Writer``: a ticket that is out
    but not recorded as such is sent again."""

    def write(function: Callable[[Connection], T]) -> T:
        with database.write(durable=False) as connection:
            return function(connection)

    return write


class Conductor:
    def __init__(
        self,
        database: Database,
        write: Callable[[Callable[[Connection], list[Posting]]], list[Posting]],
        bell: Bell,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._write = write
        self._bell = bell
        self._settings = settings
        self._clock = clock
        self._news = News()
        self._lock = threading.Lock()
        self._heard = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="conductor", daemon=True)
        database.listeners.append(self.hear)
        self._thread.start()

    def hear(self, news: News) -> None:
        """Take note; returns at once."""
        with self._lock:
            self._news.runs |= news.runs
            self._news.dispatch |= news.dispatch
        self._heard.set()

    def close(self) -> None:
        self._stopping = True
        self._heard.set()
        self._thread.join()

    def _work(self) -> None:
        while True:
            self._heard.wait()
            self._heard.clear()
            if self._stopping:
                return
            with self._lock:
                news, self._news = self._news, News()
            try:
                for run_id in news.runs:
                    self._bell.send_pass(run_id)
                if news.dispatch:
                    self.publish()
                    time.sleep(_BETWEEN_LOTS_S)
            except D8Error as error:
                # The database or the broker is away: the sweep repeats what was due.
                say(log, logging.WARNING, "conductor_held_up", error=str(error))
            except Exception:
                log.exception("conductor_failed")

    def publish(self) -> int:
        """Send what the lanes have room for. Returns how many tickets."""
        postings = self._write(self._publish)
        self._bell.send_tickets(postings)
        return len(postings)

    def _publish(self, connection: Connection) -> list[Posting]:
        return publish_ready(
            connection,
            now=self._clock(),
            waiting_per_slot=self._settings.waiting_per_slot,
            ring_again_s=self._settings.ring_again_s,
        )

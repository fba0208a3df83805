"""A tap that wakes a run is heard at once, and not only by the next sweep.

What rings the bell costs memory that an idle door can do without, so it is made when somebody is asked for
the first time, by a thread that nobody waits for.
"""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING

from master.clock import utc_now
from master.settings import Settings
from master.store import Database
from master.store.database import News
from tasks.errors import D8Error
from tasks.log import say

if TYPE_CHECKING:
    from master.dispatch.conductor import Conductor

log = logging.getLogger(__name__)


class Waker:
    """Passes the news of this process's writes on to the broker."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._news: queue.SimpleQueue[News | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="waker", daemon=True)
        database.listeners.append(self._news.put)
        self._thread.start()

    def get_ready(self) -> None:
        """Somebody has been asked and may answer soon: that answer is not to wait for what rings."""
        self._news.put(News())

    def close(self) -> None:
        """Forget what was not passed on: the sweep finds it."""
        self._news.put(None)
        self._thread.join(2.0)

    def _work(self) -> None:
        news = self._news.get()
        # Without a broker that anybody knows of there is nothing to ring.
        while news is not None and not self._settings.find_broker_url():
            news = self._news.get()
        if news is None:
            return
        try:
            conductor = self._make_conductor()
        except D8Error as error:
            say(log, logging.WARNING, "telegram_cannot_ring", why=error)
            return
        # From here on the conductor hears the news itself; this thread hands over what came before.
        self._database.listeners.remove(self._news.put)
        while news is not None:
            conductor.hear(news)
            news = self._news.get()
        conductor.close()

    def _make_conductor(self) -> Conductor:
        from master.dispatch.bell import CeleryBell
        from master.dispatch.conductor import Conductor, write_directly
        from tasks.app import make_app

        write = write_directly(self._database)
        return Conductor(self._database, write, CeleryBell(make_app()), self._settings, utc_now)

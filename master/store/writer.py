"""Group commit: many small writes share one transaction, and so one flush to the disk.

Each write is a function of a connection. Those that wait while a transaction commits are run
together in the next one. If one of them raises, the whole group is rolled back and each is run
again alone, so that no write ever sees or carries another's failure: a write therefore must have no
effects outside the database (what is to happen afterwards goes into its news).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy import Connection

from master.store.database import Database
from tasks.errors import Unhealthy

T = TypeVar("T")
_Write = tuple[Callable[[Connection], Any], "Future[Any]", bool]

#: A larger group makes the first of it wait; the gain is small by then.
MOST_TOGETHER = 64


class Writer:
    """One thread that commits what others submit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    def submit(self, write: Callable[[Connection], T], *, durable: bool = True) -> Future[T]:
        """The future is done when ``write`` is committed, or holds what it raised. A group is as
        durable as its most durable member (see ``Database.write``)."""
        if self._closed:
            raise Unhealthy("the master is shutting down: try again when it is back")
        future: Future[T] = Future()
        self._waiting.put((write, future, durable))
        return future

    def close(self) -> None:
        """Commit what is waiting, then stop."""
        self._closed = True
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            group = [first]
            stopping = False
            while len(group) < MOST_TOGETHER and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    stopping = True
                    break
                group.append(following)
            self._commit(group)
            if stopping:
                return

    def _commit(self, group: list[_Write]) -> None:
        try:
            with self._database.write(durable=any(durable for _, _, durable in group)) as connection:
                values = [write(connection) for write, _, _ in group]
        except Exception as error:  # noqa: BLE001 (whatever it is, it belongs to whoever waits)
            if len(group) == 1:
                group[0][1].set_exception(error)
                return
            for member in group:
                self._commit([member])
            return
        for (_, future, _), value in zip(group, values, strict=True):
            future.set_result(value)

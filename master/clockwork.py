"""Beat's clock without its messages: the duties run in the process that keeps the time.

A message to ourselves every two seconds would be written to the broker's disk each time, some twenty
megabytes an hour on an SD card, and would fill Flower with news that is none. And without a broker the
sweep goes on.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from celery.beat import EmbeddedService, ScheduleEntry, Scheduler
from celery.bootsteps import StartStopStep

from tasks.errors import D8Error
from tasks.log import say

log = logging.getLogger("d8.clockwork")

#: A slow round of one duty delays no other: a backup takes minutes, and so may a receiver of webhooks.
_THREADS = 6


class Clockwork(Scheduler):  # type: ignore[misc]
    """Runs what is due in threads of its own; a duty whose last round still goes on is left out."""

    #: Nothing is sent.
    producer = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="duty")
        self._busy: set[str] = set()
        self._lock = threading.Lock()

    def apply_async(self, entry: ScheduleEntry, producer: Any = None, advance: bool = True, **_: Any) -> None:
        entry = self.reserve(entry) if advance else entry
        with self._lock:
            if entry.task in self._busy:
                return
            self._busy.add(entry.task)
        self._pool.submit(self._run, entry.task)

    def _run(self, name: str) -> None:
        try:
            self.app.tasks[name].run()
        except D8Error as error:
            # The database or the broker is away: the next round comes soon.
            say(log, logging.WARNING, "duty_held_up", duty=name, error=error)
        except Exception:
            log.exception("duty_failed duty=%s", name)
        finally:
            with self._lock:
                self._busy.discard(name)


class BeatThread(StartStopStep):  # type: ignore[misc]
    """Beat in a thread of the worker. Celery's own way (``-B``) forks another process, which costs a small
    machine forty megabytes, and keeps a schedule on disk, which nothing here needs."""

    requires = ("celery.worker.components:Timer",)

    def create(self, worker: Any) -> Any:
        self.obj = EmbeddedService(worker.app, thread=True, scheduler_cls=Clockwork)
        return self.obj

"""The one thread in which models compute: gathers what all clients want and takes turns."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import torch

from worker.models.native.queues import Queue

log = logging.getLogger(__name__)

T = TypeVar("T")

#: How long an idle engine waits for company of the first arrival.
_WINDOW_S = 0.004


class Engine:
    """Runs every busy queue in turn, one batch each, so that no kind of work starves another.

    Torch already uses all cores within one batch; a second computing thread would only slow it down.
    It does so even when it is done: OpenMP keeps a pool of threads for every thread that ever computed,
    and once they are more than the cores, its threads fall asleep whenever they wait for each other.
    """

    def __init__(self) -> None:
        self._arrivals: queue.SimpleQueue[tuple[Queue | None, Callable[[], None]] | None] = (
            queue.SimpleQueue()
        )
        self._busy: dict[int, Queue] = {}
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(self, work: Queue, add: Callable[[], None]) -> None:
        """Have ``add`` put its items into ``work``, in the engine's thread, and run it until idle."""
        self._arrivals.put((work, add))

    def call(self, function: Callable[[], T]) -> T:
        """Have the engine's thread compute something beside its queues, and wait for it."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except Exception as error:  # noqa: BLE001 - raised where it is waited for
                future.set_exception(error)

        self._arrivals.put((None, run))
        return future.result()

    def stop(self) -> None:
        """End after the present turn. What waits is not answered: its clients will ask again."""
        self._arrivals.put(None)
        self._thread.join()

    def _run(self) -> None:
        with torch.inference_mode():
            while self._gather():
                for key, work in list(self._busy.items()):
                    if work.busy:
                        work.turn(self._has_arrivals)
                    if not work.busy:
                        del self._busy[key]

    def _has_arrivals(self) -> bool:
        return not self._arrivals.empty()

    def _gather(self) -> bool:
        """Take all arrivals, waiting for one if nothing is to be done; False to end."""
        idle = wait = not self._busy
        while True:
            try:
                arrival = self._arrivals.get(block=wait)
            except queue.Empty:
                return True
            if arrival is None:
                return False
            work, add = arrival
            add()
            if work is not None:
                self._busy[id(work)] = work
            wait = not self._busy
            if idle and not wait and self._arrivals.empty():
                # What is sent at once does not arrive at once: begin with more than the first of it.
                time.sleep(_WINDOW_S)
                idle = False

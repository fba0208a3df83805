"""Between the server and transformers' batching loop: holds requests back, watches them, and survives it."""

from __future__ import annotations

import asyncio
import bisect
import dataclasses
import enum
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tasks.errors import TransientFailure
from worker.models.batching.loop import Loop
from worker.models.batching.size import CacheSize
from worker.models.batching.task import BatchTask
from worker.models.draft import Draft
from worker.models.jobs import Unit
from worker.models.native.text import Text
from worker.models.protocol import Generated
from worker.models.stats import Counters

log = logging.getLogger(__name__)

BatchUnit = Unit[BatchTask, Generated]

#: How often deadlines and the loop's life are looked at while there is work.
_LOOK_S = 0.05
#: How long the loop may take to end its present step when it is stopped.
_STOP_S = 5.0


class _End(enum.Enum):
    NOT_ASKED = enum.auto()
    WHEN_IDLE = enum.auto()
    NOW = enum.auto()


@dataclasses.dataclass
class _Running:
    """A request in the loop's hands."""

    unit: BatchUnit
    draft: Draft
    pages: int
    #: transformers' ``GenerationOutput`` objects that came since the last look; the last holds all tokens.
    news: list[Any] = dataclasses.field(default_factory=list)


class Guard:
    """The only user of a ``Loop``, in a thread of its own, so that every request ends whatever the loop does.

    What the loop does wrong by itself: it never answers a cancelled request, ends for all when one request
    cannot fit, takes what comes in the order of arrival, and answers nobody once it has ended.

    Args:
        start: begins a new loop; called again when one has ended.
        ends: the model's end tokens.
    """

    def __init__(
        self,
        start: Callable[[], Loop],
        text: Text,
        ends: frozenset[int],
        size: CacheSize,
        counters: Counters,
    ) -> None:
        self._start = start
        self._text = text
        self._ends = ends
        self._size = size
        #: Hears of what is computed.
        self.counters = counters
        self._lock = threading.Lock()
        self._arrived: list[BatchUnit] = []
        self._end = _End.NOT_ASKED
        self._ended = False
        self._forget = False
        # From here on used by the thread alone.
        self._arrivals = 0
        #: The first to go first.
        self._waiting: list[BatchUnit] = []
        self._running: dict[str, _Running] = {}
        self._loop: Loop | None = None
        self._looked_at_s = time.monotonic()
        self._events = asyncio.new_event_loop()
        self._news = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="batching-guard", daemon=True)
        self._thread.start()

    def submit(self, units: Sequence[BatchUnit]) -> None:
        """Have these computed. They may come from any thread."""
        with self._lock:
            if not self._ended:
                self._arrived.extend(units)
                self._wake()
                return
        self._fail(units, "the model was put away meanwhile")

    def wake(self) -> None:
        """Look at once for requests that are not wanted anymore."""
        with self._lock:
            self._wake()

    def forget(self) -> None:
        """Free the cache, with the beginnings it keeps, as soon as nothing is computed."""
        with self._lock:
            self._forget = True
            self._wake()

    def retire(self) -> None:
        """End once all that came is answered. Does not wait."""
        self._ask_to_end(_End.WHEN_IDLE)

    def stop(self) -> None:
        """End now: what is not done fails as transient. Waits some seconds at most."""
        self._ask_to_end(_End.NOW)
        self._thread.join(2 * _STOP_S)

    @property
    def holds_cache(self) -> bool:
        return self._loop is not None

    def _ask_to_end(self, when: _End) -> None:
        with self._lock:
            self._end = when
            self._wake()

    def _wake(self) -> None:
        if not self._ended:
            self._events.call_soon_threadsafe(self._news.set)

    def _run(self) -> None:
        try:
            self._events.run_until_complete(self._watch())
        finally:
            self._events.close()

    async def _watch(self) -> None:
        while True:
            await self._wait()
            try:
                self._look()
            except Exception as error:
                log.exception("batching_guard_failed")
                self._lose_loop(f"{type(error).__name__}: {error}")
            with self._lock:
                idle = not (self._arrived or self._waiting or self._running)
                self._ended = self._end is _End.NOW or (self._end is _End.WHEN_IDLE and idle)
            if self._ended:
                self._fail([*self._arrived, *self._waiting], "the model server stops")
                self._lose_loop("the model server stops")
                return

    async def _wait(self) -> None:
        busy = self._running or self._waiting
        try:
            await asyncio.wait_for(self._news.wait(), _LOOK_S if busy else None)
        except TimeoutError:
            return
        self._news.clear()

    def _look(self) -> None:
        """Everything that there is to do, in an order in which nothing done is thrown away."""
        self._take_arrivals()
        self._charge()
        for name in [name for name, running in self._running.items() if running.news]:
            self._read(name)
        self._drop()
        if self._loop is not None and self._loop.ended:
            self._lose_loop(f"transformers' batching loop ended ({self._loop.why})")
        self._free_memory()
        self._admit()

    def _take_arrivals(self) -> None:
        with self._lock:
            arrived, self._arrived = self._arrived, []
        for unit in arrived:
            self._arrivals += 1
            unit.arrival = self._arrivals
            bisect.insort(self._waiting, unit, key=lambda waiting: waiting.order)

    def _charge(self) -> None:
        """Share the time since the last look among what was computed: the loop does not tell more."""
        now_s = time.monotonic()
        elapsed_s, self._looked_at_s = now_s - self._looked_at_s, now_s
        if self._running:
            self.counters.add(busy_s=elapsed_s)
        for running in self._running.values():
            running.unit.charge(elapsed_s / len(self._running))

    def _read(self, name: str) -> None:
        running = self._running[name]
        output = running.news[-1]
        running.news.clear()
        unit, tokens = running.unit, output.generated_tokens
        if output.error is not None:
            del self._running[name]
            self._fail([unit], f"transformers' batching loop failed: {output.error}")
            return
        try:
            result = running.draft.read(tokens, last="length" if output.is_finished() else "")
            if unit.streams:
                unit.tell(running.draft.sure(tokens) if result is None else result.text)
        except Exception as error:  # noqa: BLE001 - a listener's or a tokenizer's: the others go on
            self._fail([unit], f"{type(error).__name__}: {error}")
            return  # dropped at once, as all that has ended
        if result is not None:
            if not output.is_finished():
                self._cancel(name)
            self._running.pop(name, None)
            prompt_tokens = len(unit.task.prompt)
            self.counters.add(prompt_tokens=prompt_tokens, generated_tokens=result.tokens)
            unit.finish(result, prompt_tokens=prompt_tokens, generated_tokens=result.tokens)

    def _drop(self) -> None:
        """Give up what nobody wants: cancelled, or beyond its deadline."""
        self._waiting = [unit for unit in self._waiting if not unit.dropped]
        for name in [name for name, running in self._running.items() if running.unit.dropped]:
            self._cancel(name)

    def _cancel(self, name: str) -> None:
        del self._running[name]
        if self._loop is not None:
            self._loop.cancel(name)

    def _free_memory(self) -> None:
        with self._lock:
            wanted = self._forget and not self._running
            self._forget = self._forget and not wanted
        if wanted:
            self._lose_loop("")

    def _admit(self) -> None:
        """Hand over the first of what waits, as long as all of it surely fits.

        One that is too large for now lets nothing smaller overtake it, or it might wait forever.
        """
        if self._loop is not None and not self._loop.takes:
            return  # it is ending: the next look starts another
        free = self._size.pages - sum(running.pages for running in self._running.values())
        while self._waiting and len(self._running) < self._size.rows:
            task = self._waiting[0].task
            pages = self._size.pages_for(len(task.prompt) + task.limit)
            if pages > free:
                return
            free -= pages
            self._hand_over(self._waiting.pop(0), pages)

    def _hand_over(self, unit: BatchUnit, pages: int) -> None:
        task = unit.task
        ends = frozenset[int]() if task.item.ignore_end else self._ends
        running = _Running(unit, Draft(self._text, task.item, ends), pages)
        name = str(unit.arrival)
        self._running[name] = running  # from here on it fails with the loop

        def heard(output: Any) -> None:
            running.news.append(output)
            self._news.set()

        streams = unit.streams or bool(task.item.stop)
        if self._loop is None:
            self._loop = self._start()
        if not self._loop.submit(name, task.prompt, task.limit, ends, heard, streams=streams):
            self._lose_loop(f"transformers' batching loop ended ({self._loop.why})")

    def _lose_loop(self, why: str) -> None:
        """All that it computes fails, what only waits does not: the next loop will have it."""
        lost, self._running = self._running, {}
        if lost:
            log.warning("batching_loop_lost requests=%d why=%s", len(lost), why)
        self._fail([running.unit for running in lost.values()], why)
        if self._loop is None:
            return
        try:
            self._loop.stop(_STOP_S)
        except Exception:
            log.exception("batching_loop_not_stopped")
        finally:
            self._loop = None

    def _fail(self, units: Sequence[BatchUnit], why: str) -> None:
        for unit in units:
            unit.fail(TransientFailure(f"{why}: ask again"))

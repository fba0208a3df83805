"""Questions that are being answered right now, so that an equal one waits instead of being computed again.

A *flight* is one item on its way through the inner backend, a *call* is one message to it with all the
flights in it. Each who waits for a flight can leave; a call for which nobody waits anymore is given up.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Generic

from worker.models.jobs import Job
from worker.models.kept.forms import Answer
from worker.models.outcomes import Failed, Outcome
from worker.models.protocol import Asked, Usage
from worker.models.stats import Counters

#: The key of an item whose answer is neither looked for nor kept.
NO_KEY = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """An item of a message for which no answer is kept."""

    index: int
    key: str
    asked: Asked


class Call(Generic[Answer]):
    """One message to the inner backend."""

    def __init__(self) -> None:
        self.flights: list[Flight[Answer]] = []
        #: Ends in the inner backend's reply.
        self.future: Future[Any] = Future()


class Flight(Generic[Answer]):
    """One item that is being computed.

    Args:
        wanted: as its first client asked for it.
        call: computes it.
        streams: whether parts of its text will be told.
    """

    def __init__(self, wanted: Wanted, call: Call[Answer], *, streams: bool) -> None:
        self.wanted = wanted
        self.call = call
        self.streams = streams
        #: The text so far.
        self.text = ""
        #: (job, index). The first is the one that the inner backend's own counters stand for.
        self.waiting: list[tuple[Job[Answer], int]] = []

    def serves(self, asked: Asked, *, listens: bool, same_message: bool) -> bool:
        """Whether who asks like this gets all that computing it again would give.

        A deadline ends the flight for everybody, and only the deadline of its first client: so only
        those of one message share it. What goes before others must not wait for what goes after them.
        """
        mine = self.wanted.asked
        alike = mine.deadline_s == asked.deadline_s and (same_message or not asked.deadline_s)
        return alike and mine.priority >= asked.priority and (self.streams or not listens)


class Flights(Generic[Answer]):
    """All that is being computed of one kind of answer by one model."""

    def __init__(self, counters: Counters, find: Callable[[str], Any]) -> None:
        self._counters = counters
        self._find = find
        # Its owner may come back to it: telling a part may end in leaving.
        self._lock = threading.RLock()
        #: By key, those that may be joined.
        self._open: dict[str, Flight[Answer]] = {}

    def board(
        self, job: Job[Answer], wanted: Sequence[Wanted]
    ) -> tuple[list[Flight[Answer]], Call[Answer], list[tuple[int, Answer]]]:
        """Have the job wait for these items.

        Returns the flights that it waits for, a call of those that must be begun, and the answers (by
        index) that landed since they were looked for.
        """
        boarded: list[Flight[Answer]] = []
        landed: list[tuple[int, Answer]] = []
        call: Call[Answer] = Call()
        own: dict[str, Flight[Answer]] = {}
        with self._lock:
            for one in wanted:
                flight = self._join(job, one, own)
                if flight is None:
                    answer = self._find(one.key) if one.key != NO_KEY else None
                    if answer is not None:
                        landed.append((one.index, answer))
                        continue
                    flight = self._begin(job, one, call)
                    own[one.key] = flight
                boarded.append(flight)
        return boarded, call, landed

    def tell(self, flight: Flight[Answer], text: str) -> None:
        """A further part of its text, for all who listen."""
        with self._lock:
            flight.text += text
            for job, index in tuple(flight.waiting):
                if job.listener is not None:
                    job.listener(index, text)

    def land(self, call: Call[Answer], results: Sequence[Answer | Failed], usage: Usage) -> None:
        """The call has ended. What it used is the first one's who still waits."""
        with self._lock:
            parties = [(flight.waiting, result) for flight, result in zip(call.flights, results, strict=True)]
            self._close(call)
        for waiting, result in parties:
            for place, (job, index) in enumerate(waiting):
                if place == 0:
                    job.settle(index, result, usage)
                    usage = Usage()
                elif isinstance(result, Failed):
                    self._counters.ended(result.outcome, job.clock() - job.arrived_at_s)
                    job.settle(index, result, Usage())
                else:
                    self.settle_kept(job, index, result)

    def settle_kept(self, job: Job[Answer], index: int, answer: Answer) -> None:
        """An item ends with an answer that was computed for another."""
        self._counters.ended(Outcome.DONE, job.clock() - job.arrived_at_s)
        self._counters.add(kept=1)
        job.settle(index, answer, Usage(kept=1))

    def leave(self, job: Job[Answer], boarded: Sequence[Flight[Answer]]) -> None:
        """The job's client has gone. Gives up the calls for which nobody waits anymore."""
        left_alone: list[Call[Answer]] = []
        with self._lock:
            for flight in dict.fromkeys(boarded):
                others = [one for one in flight.waiting if one[0] is not job]
                gone = len(flight.waiting) - len(others)
                flight.waiting = others
                # If nobody is left, the inner backend counts one of these itself.
                for _ in range(gone if others else gone - 1):
                    self._counters.ended(Outcome.CANCELLED, job.clock() - job.arrived_at_s)
            for call in dict.fromkeys(flight.call for flight in boarded):
                if not any(flight.waiting for flight in call.flights):
                    # Before it is given up: nobody may join it anymore.
                    self._close(call)
                    left_alone.append(call)
        for call in left_alone:
            call.future.cancel()

    def _join(
        self, job: Job[Answer], wanted: Wanted, own: dict[str, Flight[Answer]]
    ) -> Flight[Answer] | None:
        if wanted.key == NO_KEY:
            return None
        listens = job.listener is not None
        for flight, same in ((own.get(wanted.key), True), (self._open.get(wanted.key), False)):
            if flight is not None and flight.serves(wanted.asked, listens=listens, same_message=same):
                flight.waiting.append((job, wanted.index))
                if job.listener is not None and flight.text:
                    job.listener(wanted.index, flight.text)
                return flight
        return None

    def _begin(self, job: Job[Answer], wanted: Wanted, call: Call[Answer]) -> Flight[Answer]:
        flight = Flight(wanted, call, streams=job.listener is not None)
        flight.waiting.append((job, wanted.index))
        call.flights.append(flight)
        # One without a deadline serves all who come later at least as well as the one before it.
        if wanted.key != NO_KEY and (wanted.key not in self._open or not wanted.asked.deadline_s):
            self._open[wanted.key] = flight
        return flight

    def _close(self, call: Call[Answer]) -> None:
        for flight in call.flights:
            flight.waiting = []
            if self._open.get(flight.wanted.key) is flight:
                del self._open[flight.wanted.key]

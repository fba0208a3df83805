"""Requests on their way through an engine, and what becomes of them when computing fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Generic, TypeVar

from tasks.errors import HandlerError, PermanentFailure, TransientFailure
from worker.models.outcomes import Expired, Failed, Outcome, Rejected, failed
from worker.models.protocol import Asked, Usage
from worker.models.stats import Counters

Item = TypeVar("Item", bound=Asked)
Task = TypeVar("Task")
Result = TypeVar("Result")
Reply = TypeVar("Reply")

#: Parts of messages by which Torch reports that memory is used up without a type of its own.
_MEMORY_MESSAGES = ("out of memory", "can't allocate memory", "not enough memory")


class Job(Generic[Result]):
    """One client's message: for every item a result or a failure, in the items' order.

    Args:
        items: how many there are; at least one.
        counters: hear of every item's end, once.
        listener: called with an item's number and a further part of its text.
    """

    def __init__(
        self,
        items: int,
        counters: Counters,
        listener: Callable[[int, str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.future: Future[tuple[list[Result | Failed], Usage]] = Future()
        self.listener = listener
        self.clock = clock
        self.arrived_at_s = clock()
        self._results: dict[int, Result | Failed] = {}
        self._items = items
        self._usage = Usage()
        self._counters = counters
        self._lock = threading.Lock()
        self._given_up = False
        self.future.add_done_callback(lambda done: self._give_up() if done.cancelled() else None)

    @property
    def over(self) -> bool:
        """Answered, or given up by the client."""
        return self.future.done()

    def settle(self, index: int, result: Result | Failed, usage: Usage) -> None:
        """An item has ended; what comes after its first end does not count."""
        outcome = result.outcome if isinstance(result, Failed) else Outcome.DONE
        with self._lock:
            if index in self._results or self._given_up:
                return
            self._results[index] = result
            self._usage += usage
            whole = len(self._results) == self._items
        self._counters.ended(outcome, self.clock() - self.arrived_at_s)
        if whole:
            with suppress(InvalidStateError):  # the client has gone
                self.future.set_result(([self._results[at] for at in range(self._items)], self._usage))

    def reject(self, index: int, error: HandlerError) -> None:
        """An item that is not even begun."""
        self.settle(index, failed(error), Usage())

    def _give_up(self) -> None:
        with self._lock:
            self._given_up = True
            left = self._items - len(self._results)
        for _ in range(left):
            self._counters.ended(Outcome.CANCELLED, self.clock() - self.arrived_at_s)


class Unit(Generic[Task, Result]):
    """One item of a job, as an engine computes it."""

    def __init__(self, job: Job[Result], index: int, task: Task, asked: Asked | None = None) -> None:
        self.task = task
        #: Its place among what came to the same queue.
        self.arrival = 0
        self._priority = asked.priority if asked is not None else 0
        self._job = job
        self._index = index
        self._seconds = 0.0
        limit_s = asked.deadline_s if asked is not None else 0.0
        self._deadline_s = limit_s
        self._told = 0
        self._expires_at_s = job.arrived_at_s + limit_s if limit_s else float("inf")
        self._ended = False

    @property
    def order(self) -> tuple[int, int]:
        """Sorts what waits, the first to go first."""
        return -self._priority, self.arrival

    @property
    def dropped(self) -> bool:
        """No longer wanted: its client has gone, it has ended, or its deadline has passed, which ends it."""
        if not self._ended and not self._job.over and self._job.clock() >= self._expires_at_s:
            self.fail(Expired(f"its deadline of {self._deadline_s:g} s passed before the answer was done"))
        return self._ended or self._job.over

    @property
    def streams(self) -> bool:
        """Whether somebody listens to parts of the text."""
        return self._job.listener is not None

    def tell(self, text: str) -> None:
        """The text so far, for who listens. Beginning again tells nothing twice."""
        if self._job.listener is not None and len(text) > self._told:
            self._job.listener(self._index, text[self._told :])
            self._told = len(text)

    def charge(self, seconds: float) -> None:
        """Count this unit's share of a batch's time."""
        self._seconds += seconds

    def finish(self, result: Result, *, prompt_tokens: int, generated_tokens: int = 0) -> None:
        self.end(result, Usage(prompt_tokens=prompt_tokens, generated_tokens=generated_tokens))

    def end(self, result: Result, usage: Usage) -> None:
        """As ``finish``, with all that it used but the seconds, which were charged."""
        self._ended = True
        self._job.settle(self._index, result, usage.model_copy(update={"seconds": self._seconds}))

    def fail(self, error: HandlerError) -> None:
        self._ended = True
        self._job.settle(self._index, failed(error), Usage(seconds=self._seconds))


def units_of(
    job: Job[Result], items: Sequence[Item], make: Callable[[int, Item], Task]
) -> list[Unit[Task, Result]]:
    """A unit for every item that can be begun; the others are rejected, each for itself."""
    units = []
    for number, item in enumerate(items):
        try:
            units.append(Unit(job, number, make(number, item), item))
        except HandlerError as error:
            job.reject(number, error if isinstance(error, Rejected) else Rejected(str(error)))
    return units


def run_isolated(
    units: Sequence[Unit[Task, Result]],
    compute: Callable[[Sequence[Unit[Task, Result]]], None],
    free_memory: Callable[[], None],
) -> None:
    """``compute`` the units; where that fails, their halves, so that only the culprits fail.

    ``compute`` finishes every unit or raises before it finishes any.
    """
    try:
        compute(units)
    except Exception as error:  # noqa: BLE001 - whatever it is, only its culprit fails
        if is_out_of_memory(error):
            free_memory()
        if len(units) == 1:
            units[0].fail(to_failure(error))
            return
        half = len(units) // 2
        run_isolated(units[:half], compute, free_memory)
        run_isolated(units[half:], compute, free_memory)


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory, of the machine or a GPU, was used up."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(part in text for part in _MEMORY_MESSAGES)


def to_failure(error: Exception) -> HandlerError:
    """The failure to report for whatever went wrong while a model computed."""
    if isinstance(error, HandlerError):
        return error
    if is_out_of_memory(error):
        return TransientFailure(
            f"the model server ran out of memory on a single request ({error}): shorten it, or give the "
            "machine more memory"
        )
    return PermanentFailure(f"the model could not compute this request: {type(error).__name__}: {error}")


def replied(job: Job[Result], make: Callable[[list[Result | Failed], Usage], Reply]) -> Future[Reply]:
    """The job's outcome as a reply. Cancelling the reply cancels the job."""
    reply: Future[Reply] = Future()

    def pass_on(done: Future[tuple[list[Result | Failed], Usage]]) -> None:
        if done.cancelled() or not reply.set_running_or_notify_cancel():
            return
        try:
            made = make(*done.result())
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            reply.set_exception(to_failure(error))
        else:
            reply.set_result(made)

    job.future.add_done_callback(pass_on)
    reply.add_done_callback(lambda done: done.cancelled() and job.future.cancel())
    return reply

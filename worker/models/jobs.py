"""Requests on their way through the engine, and what becomes of them when computing fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Generic, TypeVar

from tasks.errors import HandlerError, PermanentFailure, TransientFailure
from worker.models.protocol import Usage

Task = TypeVar("Task")
Result = TypeVar("Result")
Reply = TypeVar("Reply")

#: Parts of messages by which Torch reports that memory is used up without a type of its own.
_MEMORY_MESSAGES = ("out of memory", "can't allocate memory", "not enough memory")


class Job(Generic[Result]):
    """One client's request: as many results as items, in their order, or one failure."""

    def __init__(self, items: int) -> None:
        self.future: Future[tuple[list[Result], Usage]] = Future()
        self._results: dict[int, Result] = {}
        self._items = items
        self._usage = Usage()
        self._lock = threading.Lock()

    @property
    def over(self) -> bool:
        """Answered, failed, or given up by the client."""
        return self.future.done()

    def finish(self, index: int, result: Result, usage: Usage) -> None:
        with self._lock:
            self._results[index] = result
            self._usage = Usage(
                prompt_tokens=self._usage.prompt_tokens + usage.prompt_tokens,
                generated_tokens=self._usage.generated_tokens + usage.generated_tokens,
                seconds=self._usage.seconds + usage.seconds,
            )
            if len(self._results) == self._items:
                results = [self._results[at] for at in range(self._items)]
                with suppress(InvalidStateError):  # the client has gone
                    self.future.set_result((results, self._usage))

    def fail(self, error: HandlerError) -> None:
        with suppress(InvalidStateError):  # another item failed before, or the client has gone
            self.future.set_exception(error)


class Unit(Generic[Task, Result]):
    """One item of a job, as the engine computes it."""

    def __init__(self, job: Job[Result], index: int, task: Task) -> None:
        self.task = task
        self._job = job
        self._index = index
        self._seconds = 0.0

    @property
    def dropped(self) -> bool:
        return self._job.over

    def charge(self, seconds: float) -> None:
        """Count this unit's share of a batch's time."""
        self._seconds += seconds

    def finish(self, result: Result, *, prompt_tokens: int, generated_tokens: int = 0) -> None:
        usage = Usage(prompt_tokens=prompt_tokens, generated_tokens=generated_tokens, seconds=self._seconds)
        self._job.finish(self._index, result, usage)

    def fail(self, error: HandlerError) -> None:
        self._job.fail(error)


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


def replied(job: Job[Result], make: Callable[[list[Result], Usage], Reply]) -> Future[Reply]:
    """The job's outcome as a reply. Cancelling the reply cancels the job."""
    reply: Future[Reply] = Future()

    def pass_on(done: Future[tuple[list[Result], Usage]]) -> None:
        if done.cancelled() or not reply.set_running_or_notify_cancel():
            return
        error = done.exception()
        if error is not None:
            reply.set_exception(error)
        else:
            reply.set_result(make(*done.result()))

    job.future.add_done_callback(pass_on)
    reply.add_done_callback(lambda done: done.cancelled() and job.future.cancel())
    return reply

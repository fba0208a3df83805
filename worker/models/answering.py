"""What every route of the model server does: count what it takes on, await it, notice who hangs up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from typing import Protocol, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from worker.models.backend import Backend
from worker.models.outcomes import GivenUp, Outcome, Overloaded
from worker.models.registry import Purpose
from worker.models.stats import Counters

Answer = TypeVar("Answer")

#: Items that may wait or be computed at once; more are refused, and may come again.
MAX_QUEUE_DEPTH = 50_000


class Finds(Protocol):
    """Finds who answers for a model: the registry, or a view of it that allows less."""

    def backend(self, reference: str, purpose: Purpose) -> Backend: ...


class Activity:
    """When somebody last asked for anything, and whether somebody waits now."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last_at_s = clock()
        self._waiting = 0

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            self._last_at_s = self._clock()

    def idle_s(self) -> float:
        """Seconds since the last request ended; 0 while one is being answered."""
        return 0.0 if self._waiting else self._clock() - self._last_at_s


@contextlib.contextmanager
def taken_on(counters: Counters, items: int) -> Iterator[None]:
    """Count items as under way, unless there are too many already."""
    if counters.get("queue_depth") + items > MAX_QUEUE_DEPTH:
        for _ in range(items):
            counters.ended(Outcome.REJECTED, 0.0)
        raise Overloaded(
            f"more than {MAX_QUEUE_DEPTH} requests wait for this model server already: send fewer at once, "
            "or give the fleet another machine"
        )
    counters.add(queue_depth=items)
    try:
        yield
    finally:
        counters.add(queue_depth=-items)


async def answer_of(request: Request, start: Callable[[], Future[Answer]]) -> Answer:
    """Start work and await it; give it up when the client hangs up."""
    # Finding the backend may load a model, and starting cuts texts into tokens. What a thread does
    # cannot be given up: whether somebody waits still is looked at afterwards.
    future = await run_in_threadpool(start)
    return await unless_gone(request, asyncio.wrap_future(future))


async def unless_gone(request: Request, awaited: Awaitable[Answer]) -> Answer:
    """What is awaited, cancelled with ``GivenUp`` when the client hangs up. The body has been read."""
    answer = asyncio.ensure_future(awaited)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise GivenUp("the client hung up before its request was answered")
        return answer.result()
    finally:
        answer.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

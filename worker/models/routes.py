"""The model server's HTTP routes: parse, find the backend, await its future, answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tasks.errors import HandlerError, PermanentFailure
from tasks.record import Record
from worker.models.outcomes import GivenUp, Outcome, Overloaded, outcome_of
from worker.models.registry import Registry
from worker.models.stats import Counters
from worker.models.streaming import TextStream
from worker.models.wire import (
    PERMANENT_STATUS,
    PROTOCOL,
    TRANSIENT_STATUS,
    ChatPromptReply,
    ChatPromptRequest,
    DescribeRequest,
    EmbedRequest,
    GenerateRequest,
    Health,
    Refusal,
    ScoreRequest,
)

Message = TypeVar("Message", bound=Record)
Reply = TypeVar("Reply", bound=Record)
Handler = Callable[[Request], Awaitable[Record]]


#: Items that may wait or be computed at once; more are refused, and may come again.
MAX_QUEUE_DEPTH = 50_000


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


def make_app(registry: Registry, counters: Counters, activity: Activity) -> Starlette:
    """The server's ASGI application."""
    routes = _Routes(registry, counters, activity)
    return Starlette(
        routes=[
            Route("/health", routes.answering(routes.health), methods=["GET"]),
            Route("/score", routes.answering(routes.score), methods=["POST"]),
            Route("/generate", routes.generate_or_stream, methods=["POST"]),
            Route("/embed", routes.answering(routes.embed), methods=["POST"]),
            Route("/chat_prompt", routes.answering(routes.chat_prompt), methods=["POST"]),
            Route("/describe", routes.answering(routes.describe), methods=["POST"]),
        ]
    )


class _Routes:
    def __init__(self, registry: Registry, counters: Counters, activity: Activity) -> None:
        self._registry = registry
        self._counters = counters
        self._activity = activity

    def answering(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """``handler`` with its failures turned into refusals."""

        async def endpoint(request: Request) -> Response:
            with self._activity.request():
                try:
                    return _json(200, await handler(request))
                except HandlerError as error:
                    return _refusal(error)

        return endpoint

    async def health(self, _: Request) -> Health:
        stats = self._counters.snapshot(self._registry.loaded(), self._registry.prefix_cache_bytes())
        return Health(protocol=PROTOCOL, pid=os.getpid(), stats=stats)

    async def score(self, request: Request) -> Record:
        message = await _read(request, ScoreRequest)
        return await self._work(
            request,
            len(message.items),
            lambda: self._registry.backend(message.model, "text").score(message.items),
        )

    async def _generate(self, request: Request, message: GenerateRequest) -> Record:
        return await self._work(
            request,
            len(message.items),
            lambda: self._registry.backend(message.model, "text").generate(message.items),
        )

    async def generate_or_stream(self, request: Request) -> Response:
        with self._activity.request():
            try:
                message = await _read(request, GenerateRequest)
                if not message.stream:
                    return _json(200, await self._generate(request, message))
                stream = TextStream(message, self._registry)
                await stream.begin()
            except HandlerError as error:
                return _refusal(error)
        return StreamingResponse(self._lines(stream, len(message.items)), media_type="application/x-ndjson")

    async def _lines(self, stream: TextStream, items: int) -> AsyncIterator[bytes]:
        with self._activity.request(), taken_on(self._counters, items):
            async for message in stream.messages():
                yield message.model_dump_json().encode() + b"\n"

    async def embed(self, request: Request) -> Record:
        message = await _read(request, EmbedRequest)
        return await self._work(
            request,
            len(message.texts),
            lambda: self._registry.backend(message.model, "embedding").embed(message.texts),
        )

    async def chat_prompt(self, request: Request) -> ChatPromptReply:
        message = await _read(request, ChatPromptRequest)
        prompt = await run_in_threadpool(
            lambda: self._registry.backend(message.model, "text").chat_prompt(message.messages)
        )
        return ChatPromptReply(prompt=prompt)

    async def describe(self, request: Request) -> Record:
        message = await _read(request, DescribeRequest)
        return await run_in_threadpool(lambda: self._registry.backend(message.model, "text").describe())

    async def _work(self, request: Request, items: int, start: Callable[[], Future[Reply]]) -> Reply:
        """Start work and await it; give it up when the client hangs up."""
        with taken_on(self._counters, items):
            gone = asyncio.create_task(_disconnected(request))
            try:
                # Finding the backend may load a model, and starting cuts texts into tokens.
                answer = asyncio.wrap_future(await run_in_threadpool(start))
                both: set[asyncio.Future[Any]] = {answer, gone}
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                if not answer.done():
                    answer.cancel()
                    raise GivenUp("the client hung up before its request was answered")
                return answer.result()
            finally:
                gone.cancel()


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


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _read(request: Request, kind: type[Message]) -> Message:
    try:
        return kind.model_validate_json(await request.body())
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_url=False)[:5]
        )
        raise PermanentFailure(f"the model server cannot read this {kind.__name__}: {problems}") from error


def _json(status: int, message: Record) -> Response:
    return Response(message.model_dump_json(), status, media_type="application/json")


def _refusal(error: HandlerError) -> Response:
    if isinstance(error, PermanentFailure):
        refusal = Refusal(kind="permanent", message=str(error), outcome=outcome_of(error))
        return _json(PERMANENT_STATUS, refusal)
    refusal = Refusal(kind="transient", message=str(error), outcome=outcome_of(error))
    return _json(TRANSIENT_STATUS, refusal)

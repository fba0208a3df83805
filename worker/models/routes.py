"""The model server's HTTP routes: parse, find the backend, await its future, answer."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from typing import TypeVar

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route

from tasks.errors import HandlerError, PermanentFailure
from tasks.record import Record
from worker.models.answering import Activity, answer_of, taken_on
from worker.models.front.app import make_front
from worker.models.front.catalog import Catalog
from worker.models.outcomes import outcome_of
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


def make_app(catalog: Catalog, counters: Counters, activity: Activity) -> Starlette:
    """One door of the server, as an ASGI application: ``catalog`` says which models it answers for."""
    routes = _Routes(catalog, counters, activity)
    return Starlette(
        routes=[
            Route("/health", routes.answering(routes.health), methods=["GET"]),
            Route("/forget", routes.answering(routes.forget), methods=["POST"]),
            Route("/score", routes.answering(routes.score), methods=["POST"]),
            Route("/generate", routes.generate_or_stream, methods=["POST"]),
            Route("/embed", routes.answering(routes.embed), methods=["POST"]),
            Route("/chat_prompt", routes.answering(routes.chat_prompt), methods=["POST"]),
            Route("/describe", routes.answering(routes.describe), methods=["POST"]),
            Mount("/v1", make_front(catalog, counters, activity)),
        ]
    )


class _Routes:
    def __init__(self, catalog: Catalog, counters: Counters, activity: Activity) -> None:
        self._catalog = catalog
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
        stats = self._counters.snapshot(self._catalog.loaded(), self._catalog.prefix_cache_bytes())
        return Health(protocol=PROTOCOL, pid=os.getpid(), stats=stats)

    async def forget(self, request: Request) -> Health:
        await run_in_threadpool(self._catalog.forget)
        return await self.health(request)

    async def score(self, request: Request) -> Record:
        message = await _read(request, ScoreRequest)
        return await self._work(
            request,
            len(message.items),
            lambda: self._catalog.backend(message.model, "text").score(message.items),
        )

    async def _generate(self, request: Request, message: GenerateRequest) -> Record:
        return await self._work(
            request,
            len(message.items),
            lambda: self._catalog.backend(message.model, "text").generate(message.items),
        )

    async def generate_or_stream(self, request: Request) -> Response:
        with self._activity.request():
            try:
                message = await _read(request, GenerateRequest)
                if not message.stream:
                    return _json(200, await self._generate(request, message))
                stream = TextStream(message, self._catalog)
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
            lambda: self._catalog.backend(message.model, "embedding").embed(message.texts),
        )

    async def chat_prompt(self, request: Request) -> ChatPromptReply:
        message = await _read(request, ChatPromptRequest)
        prompt = await run_in_threadpool(
            lambda: self._catalog.backend(message.model, "text").chat_prompt(message.messages)
        )
        return ChatPromptReply(prompt=prompt)

    async def describe(self, request: Request) -> Record:
        message = await _read(request, DescribeRequest)
        return await run_in_threadpool(lambda: self._catalog.backend(message.model, "text").describe())

    async def _work(self, request: Request, items: int, start: Callable[[], Future[Reply]]) -> Reply:
        with taken_on(self._counters, items):
            return await answer_of(request, start)


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

"""Texts for other programs: made, and sent whole or part by part."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tasks.errors import HandlerError
from worker.models.answering import Activity, Finds, answer_of, taken_on, unless_gone
from worker.models.backend import Backend
from worker.models.front.catalog import Catalog
from worker.models.front.errors import invalid, told
from worker.models.front.requests import TextRequest
from worker.models.front.shapes import DONE, Shape, event
from worker.models.outcomes import all_there
from worker.models.protocol import GenerateItem
from worker.models.registry import Purpose
from worker.models.stats import Counters
from worker.models.streaming import TextStream
from worker.models.wire import GenerateReply, GenerateRequest

_SEEDS = 2**63


def make_items(
    asked: TextRequest, prompts: Sequence[str], max_new_tokens: int, random_seed: int
) -> tuple[GenerateItem, ...]:
    """``n`` items for each prompt, with seeds that follow each other. ``ApiError`` where one cannot be."""
    seed = random_seed if asked.seed is None else asked.seed
    try:
        return tuple(
            GenerateItem(
                prompt=prompt,
                max_new_tokens=max_new_tokens,
                temperature=asked.temperature,
                top_p=asked.top_p,
                top_k=max(asked.top_k, 0),
                # A negative one is a seed too: those of 64 bits are told apart by 63 well enough.
                seed=(seed + number) % _SEEDS,
                stop=asked.stop,
                grammar=asked.grammar(),
                priority=asked.priority,
                deadline_s=asked.deadline_s,
                # With a seed of its own nobody asks for it again: it is not worth keeping.
                fresh=asked.seed is None and asked.temperature > 0,
            )
            for prompt in prompts
            for number in range(asked.n)
        )
    except ValidationError as error:
        raise invalid(error) from error


class Texts:
    """Answers text requests of one door.

    Args:
        catalog: the models that it offers.
        counters: hear of what is under way.
        activity: keeps the server from ending while it streams.
    """

    def __init__(self, catalog: Catalog, counters: Counters, activity: Activity) -> None:
        self._catalog = catalog
        self._counters = counters
        self._activity = activity

    async def whole(
        self, request: Request, asked: TextRequest, items: Sequence[GenerateItem], shape: Shape
    ) -> Response:
        with taken_on(self._counters, len(items)):
            reply = await answer_of(request, lambda: self._catalog.find(asked.model, "text").generate(items))
        return JSONResponse(shape.whole(all_there(reply.results), reply.usage))

    async def streamed(
        self, request: Request, asked: TextRequest, items: Sequence[GenerateItem], shape: Shape
    ) -> Response:
        """Begins once there is something to send: what is refused until then gets its proper status."""
        message = GenerateRequest(model=asked.model, items=tuple(items), stream=True)
        stream = TextStream(message, _Finding(self._catalog))
        events = self._events(stream, asked, shape, len(items))
        # The first is empty and says that it has begun, which happens in a thread and cannot be given up.
        await anext(events)
        first = await unless_gone(request, anext(events))
        return EventStream(first, events)

    async def _events(
        self, stream: TextStream, asked: TextRequest, shape: Shape, items: int
    ) -> AsyncGenerator[bytes]:
        told = [0] * items
        begun: set[int] = set()

        def parts(index: int, text: str) -> bytes:
            opening = None if index in begun else shape.begin(index)
            begun.add(index)
            told[index] += len(text)
            opened = event(opening) if opening is not None else b""
            return opened + (event(shape.part(index, text)) if text else b"")

        with self._activity.request(), taken_on(self._counters, items):
            await stream.begin()
            yield b""
            async with contextlib.aclosing(stream.messages()) as messages:
                async for message in messages:
                    if not isinstance(message, GenerateReply):
                        yield parts(message.item, message.text)
                        continue
                    for index, result in enumerate(all_there(message.results)):
                        # What had to be held back until the text was whole.
                        rest = parts(index, result.text[told[index] :])
                        yield rest + event(shape.end(index, result.finish))
                    if asked.stream_options.include_usage:
                        yield event(shape.last(message.usage))
                    yield DONE


class EventStream(StreamingResponse):
    """Server-sent events, the first of which is there already. Given up when the client hangs up."""

    def __init__(self, first: bytes, events: AsyncGenerator[bytes]) -> None:
        super().__init__(_guarded(first, events), media_type="text/event-stream")
        # A proxy in between must not gather what is meant to be seen as it comes.
        self.headers["cache-control"] = "no-cache"
        self.headers["x-accel-buffering"] = "no"
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()


async def _guarded(first: bytes, events: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    yield first
    try:
        async for one in events:
            yield one
    except HandlerError as error:
        # The status is sent: all that is left is to say it in the stream.
        yield event(told(error).body())


class _Finding(Finds):
    """A catalog whose refusals name the model as what is wrong."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def backend(self, reference: str, purpose: Purpose) -> Backend:
        return self._catalog.find(reference, purpose)

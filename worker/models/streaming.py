"""Texts that are sent on while they are generated: from the engine's thread to an HTTP answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import Future

from starlette.concurrency import run_in_threadpool

from tasks.errors import HandlerError
from worker.models.answering import Finds
from worker.models.backend import Backend
from worker.models.jobs import to_failure
from worker.models.outcomes import failed
from worker.models.protocol import Usage
from worker.models.wire import GenerateReply, GenerateRequest, Part


class TextStream:
    """One message's texts as they come.

    Args:
        message: what is asked.
        registry: finds who answers.
    """

    def __init__(self, message: GenerateRequest, registry: Finds) -> None:
        self._message = message
        self._registry = registry
        self._queue: asyncio.Queue[Part | GenerateReply] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._future: Future[GenerateReply] = Future()

    async def begin(self) -> None:
        """Ask; raises what is refused at once, before anything of an answer is sent."""
        self._future = await run_in_threadpool(self._start)
        self._future.add_done_callback(self._end)

    async def messages(self) -> AsyncGenerator[Part | GenerateReply]:
        """Every further part, and the whole reply at last. Closing it gives the texts up."""
        try:
            while True:
                message = await self._queue.get()
                yield message
                if isinstance(message, GenerateReply):
                    return
        finally:
            self._future.cancel()

    def _start(self) -> Future[GenerateReply]:
        backend: Backend = self._registry.backend(self._message.model, "text")
        return backend.generate(self._message.items, self._hear)

    def _hear(self, item: int, text: str) -> None:
        self._put(Part(item=item, text=text))

    def _end(self, done: Future[GenerateReply]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            self._put(done.result())
            return
        told = failed(error if isinstance(error, HandlerError) else to_failure(Exception(str(error))))
        self._put(GenerateReply(results=(told,) * len(self._message.items), usage=Usage()))

    def _put(self, message: Part | GenerateReply) -> None:
        """From any thread, in order."""
        self._loop.call_soon_threadsafe(self._queue.put_nowait, message)

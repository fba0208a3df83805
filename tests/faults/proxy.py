"""A TCP proxy that can be slow, stall, reset or swallow: what the kernel here has no module for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any


class Proxy:
    """Forwards ``address:port`` to a target, from a thread of its own."""

    def __init__(self, address: str, target: tuple[str, int]) -> None:
        self._target = target
        self.delay_s = 0.0
        #: Nothing is forwarded while this is set; connections stay open.
        self.stalled = False
        #: New connections are accepted and never answered; old ones go on.
        self.half_open = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="proxy")
        self._thread.start()
        self._server: asyncio.Server = self._do(asyncio.start_server(self._serve, address, 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def calm(self) -> None:
        """Forward everything at once again."""
        self.delay_s, self.stalled, self.half_open = 0.0, False, False

    def reset(self) -> None:
        """Break every connection with a reset."""
        self._do(self._reset())

    def close(self) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while self.half_open:
                await asyncio.sleep(0.05)
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            self._drop(writer)
            return
        self._writers.add(back)
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer), return_exceptions=True)
        self._drop(writer)
        self._drop(back)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                while self.stalled:
                    await asyncio.sleep(0.05)
                sink.write(data)
                await sink.drain()
        finally:
            sink.close()

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.close()

    async def _reset(self) -> None:
        for writer in list(self._writers):
            found = writer.get_extra_info("socket")
            if found is not None:
                with contextlib.suppress(OSError):
                    # Closing with a linger of zero sends RST.
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            self._writers.discard(writer)

    async def _end(self) -> None:
        self._server.close()
        self.calm()
        await self._reset()
        # Their connections are gone: they end by themselves.
        if open_ones := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(open_ones, timeout=5)

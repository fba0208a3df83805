"""``/events``: tells an open page that something has happened, as server-sent events.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html

A plain ASGI application: ten thousand streams are held open at a time, and a response class, its task group
and the middleware around it would each be there ten thousand times.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable

import anyio
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from master.api.errors import show_error
from master.api.services import Services
from master.descriptors import open_files_limit
from master.events import News, news_after
from master.web.hub import COMMENT, Hub
from master.web.pages import HEADERS, secured
from tasks.errors import D8Error

#: Open files that streams leave to workers, pages and the database.
_KEPT_BACK = 512
_AGAIN_S = 30

_HEAD = [
    (name.lower().encode(), value.encode())
    for name, value in {
        **HEADERS,
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
    }.items()
]


def server_is_ending() -> bool:
    """Whether the server was told to end. It waits for open responses before it tells its
    application, and this response would never end; but the handler of its signals is its method."""
    handler = signal.getsignal(signal.SIGTERM)
    return bool(getattr(getattr(handler, "__self__", None), "should_exit", False))


def start_after(last_event_id: str, after: str) -> int | None:
    """The number that the browser saw last, from the header of a reconnection or the page's address."""
    for text in (last_event_id, after):
        # More digits than a database numbers rows with would be refused by it.
        if text.isascii() and text.isdigit() and len(text) <= 18:
            return int(text)
    return None


def most_streams(open_files: int) -> int:
    """How many streams may be open, by the limit of open files: the others keep what they need."""
    return max(open_files - _KEPT_BACK, open_files // 2)


class EventStreams:
    """Answers ``/events``. ``authorize`` raises unless the request may listen."""

    def __init__(
        self,
        services: Services,
        authorize: Callable[[Request], object],
        *,
        ending: Callable[[], bool] = server_is_ending,
        room: int | None = None,
    ) -> None:
        self._authorize = authorize
        self._room = room

        async def look(seq: int | None) -> News:
            return await services.read(lambda connection: news_after(connection, seq))

        self.hub = Hub(look, ending)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = await self._refuse(Request(scope, receive))
        if refusal is not None:
            await secured(refusal)(scope, receive, send)
            return
        request = Request(scope)
        seq = start_after(request.headers.get("last-event-id", ""), request.query_params.get("after", ""))
        # Not kept for as long as the stream is open.
        del request
        await self._stream(seq, receive, send)

    async def _refuse(self, request: Request) -> Response | None:
        try:
            await self._authorize(request)  # type: ignore[misc]
        except D8Error as error:
            # Not a page: a redirect to the login would be followed and understood by nobody.
            return await show_error(request, error)
        room = most_streams(open_files_limit()) if self._room is None else self._room
        if len(self.hub) >= room:
            text = (
                f"{len(self.hub)} event streams are open, as many as this process's limit of open files "
                f"allows: close some pages, or raise LimitNOFILE (ulimit -n) where the master is started\n"
            )
            return PlainTextResponse(text, status_code=503, headers={"Retry-After": str(_AGAIN_S)})
        return None

    async def _stream(self, seq: int | None, receive: Receive, send: Send) -> None:
        listener = self.hub.join(seq)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEAD})
            text = b"retry: %d\n\n" % random.randint(2000, 4000)
            while text:
                await send({"type": "http.response.body", "body": text, "more_body": True})
                # A browser that has left is found at the next comment: what is sent to it until then goes
                # nowhere, and asking each time would cost more than that.
                if text is COMMENT and await _has_left(receive):
                    return
                text = await listener.next()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self.hub.leave(listener)


async def _has_left(receive: Receive) -> bool:
    """Whether the connection is closed, without waiting for it."""
    with anyio.CancelScope() as at_once:
        at_once.cancel()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return True
    return False

"""``/events``: tells an open page that something has happened, as server-sent events.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from master.api.services import Services
from master.events import events_after, newest_events

_LOOK_EVERY_S = 1.0
#: A proxy closes what is silent for a minute.
_SPEAK_EVERY = 15
#: Then the browser connects again, and its token is checked again.
_LOOKS = 300
_MOST = 500

Sleep = Callable[[float], Awaitable[None]]
Events = Sequence[Mapping[str, Any]]


def server_is_ending() -> bool:
    """Whether the server was told to end. It waits for open responses before it tells its
    application, and this response would never end; but the handler of its signals is its method."""
    handler = signal.getsignal(signal.SIGTERM)
    return bool(getattr(getattr(handler, "__self__", None), "should_exit", False))


def encode_news(events: Events) -> str:
    """One message for all events of a look: the last one's number, and the runs that they are of."""
    runs = sorted({event["run_id"] for event in events if event["run_id"]})
    data = json.dumps({"events": len(events), "runs": runs[:50]})
    return f"id: {events[-1]['seq']}\nevent: news\ndata: {data}\n\n"


def start_after(last_event_id: str, after: str) -> int | None:
    """The number that the browser saw last, from the header of a reconnection or the page's address."""
    for text in (last_event_id, after):
        # More digits than a database numbers rows with would be refused by it.
        if text.isascii() and text.isdigit() and len(text) <= 18:
            return int(text)
    return None


async def stream_news(
    services: Services, seq: int | None, ending: Callable[[], bool], sleep: Sleep = asyncio.sleep
) -> AsyncIterator[str]:
    """Messages until the server ends or some minutes have passed; cancelled when the browser leaves."""

    def look(connection: Connection) -> Events:
        found = events_after(connection, last, limit=_MOST) if last is not None else ()
        # Far behind: what matters is that there is news, not each piece of it.
        return found if 0 < len(found) < _MOST else newest_events(connection, 1)

    last = seq
    yield "retry: 2000\n\n"
    for count in range(_LOOKS):
        if ending():
            return
        found = await services.read(look)
        if found and last is None:
            last = found[-1]["seq"]
        elif found and last is not None and found[-1]["seq"] != last:
            last = found[-1]["seq"]
            yield encode_news(found)
        elif count % _SPEAK_EVERY == 0:
            yield ": nothing new\n\n"
        await sleep(_LOOK_EVERY_S)


def live_response(services: Services, request: Request) -> Response:
    seq = start_after(request.headers.get("last-event-id", ""), request.query_params.get("after", ""))
    return StreamingResponse(
        stream_news(services, seq, server_is_ending),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )

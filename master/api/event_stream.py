"""``/api/events/stream``: what happens, to programs, as server-sent events.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html. A program that was cut off says in
``Last-Event-ID`` what it saw last, and misses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from master.api.answers import Event
from master.api.services import Services
from master.events import events_after, newest_events
from master.events.follow import matches, settled

_LOOK_EVERY_S = 1.0
#: A proxy closes what is silent for a minute.
_SPEAK_EVERY = 15
#: Then the program connects again, and its token is checked again.
_LOOKS = 600
_MOST = 500

Sleep = Callable[[float], Awaitable[None]]


def encode_event(event: Mapping[str, Any]) -> str:
    """One message: the event's number, its name, and all of it as JSON in one line."""
    return f"id: {event['seq']}\nevent: {event['name']}\ndata: {Event.model_validate(event).model_dump_json()}\n\n"


async def stream_events(
    services: Services,
    seq: int | None,
    *,
    run_id: str,
    names: Collection[str],
    ending: Callable[[], bool],
    sleep: Sleep = asyncio.sleep,
) -> AsyncIterator[str]:
    """Messages from the event after ``seq`` on (None: from now on), until the server ends or ten minutes have
    passed; cancelled when the program leaves."""
    if seq is None:
        newest = await services.read(lambda connection: newest_events(connection, 1))
        seq = newest[0]["seq"] if newest else 0
    last = seq

    def look(connection: Connection) -> Sequence[Mapping[str, Any]]:
        return settled(events_after(connection, last, limit=_MOST), last, services.clock())

    # Where it begins, before anything has happened.
    yield f"retry: 2000\nid: {last}\n\n"
    for count in range(_LOOKS):
        if ending():
            return
        found = await services.read(look)
        wanted = [each for each in found if run_id in ("", each["run_id"]) and matches(each["name"], names)]
        if found:
            last = found[-1]["seq"]
        if wanted:
            yield "".join(map(encode_event, wanted))
        elif count % _SPEAK_EVERY == _SPEAK_EVERY - 1:
            # With the number, so that a program that saw nothing of interest need not look through it again.
            yield f": nothing new\nid: {last}\n\n"
        if len(found) < _MOST:
            await sleep(_LOOK_EVERY_S)

"""``Idempotency-Key``: a call that changes something may be repeated under its key, and counts once."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Header, Request, Response
from sqlalchemy import Connection

from master.api.auth import COOKIE
from master.api.services import Services
from master.idempotency import Call, do_once

#: On an answer that was given before.
REPLAYED = "Idempotency-Replayed"

_Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        description="Repeat the call under the same key, and it counts once: the first answer is given again. "
        "Kept for 48 hours for the token that calls; the key with another call is refused (409).",
    ),
]


class Once:
    """Writes for one call."""

    def __init__(self, services: Services, call: Call, response: Response) -> None:
        self._services = services
        self._response = response
        self.call = call

    async def __call__(self, function: Callable[[Connection], Any]) -> Any:
        """Run the write, or find what it answered under this key. Returns JSON values."""
        now = self._services.clock()
        answer, replayed = await self._services.write(
            lambda connection: do_once(connection, self.call, function, now=now)
        )
        if replayed:
            self._response.headers[REPLAYED] = "true"
        return answer


def once_of(services: Services) -> Callable[..., Awaitable[Once]]:
    """A FastAPI dependency. It is asked for after the one that checks the token."""

    async def dependency(request: Request, response: Response, idempotency_key: _Key = "") -> Once:
        asked = b""
        if idempotency_key:
            asked = b"\0".join(
                (
                    request.method.encode(),
                    request.url.path.encode(),
                    request.url.query.encode(),
                    _canonical(await request.body()),
                )
            )
        return Once(
            services, Call(credential=_credential(request), key=idempotency_key, asked=asked), response
        )

    return dependency


def _credential(request: Request) -> str:
    header = request.headers.get("authorization", "")
    return header[7:] if header.startswith("Bearer ") else request.cookies.get(COOKIE, "")


def _canonical(body: bytes) -> bytes:
    """The order of names and the spaces between them make no other call."""
    try:
        return json.dumps(json.loads(body), sort_keys=True).encode()
    except (ValueError, RecursionError):
        return body

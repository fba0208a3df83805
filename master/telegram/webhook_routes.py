"""The route by which Telegram brings updates; a part of the API's process.

What comes is stored and committed before Telegram is told 200, so that it repeats what was not stored.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from master.clock import Clock
from master.settings import Settings
from master.telegram.inbox import store_updates
from master.telegram.refusals import OTHERS, Reason, count_refusal
from master.telegram.webhook import PATH, find_webhook

_HEADER = "X-Telegram-Bot-Api-Secret-Token"
#: An update holds one message of at most 4096 characters, and what surrounds it.
_MOST_BYTES = 1024 * 1024

Store = Callable[[Callable[[Connection], None]], Awaitable[None]]


def webhook_routes(settings: Settings, write: Store, clock: Clock) -> list[Route]:
    """The route that Telegram calls; none when updates are fetched.

    ``write`` returns once what it was given is committed.
    """
    webhook = find_webhook(settings)
    if webhook is None:
        return []
    users = frozenset(settings.telegram_users)
    secret = webhook.secret.encode()

    async def take(request: Request) -> Response:
        given = request.headers.get(_HEADER, "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, secret):
            await write(
                lambda c: _count(c, Reason.FORGED, clock, str(request.client.host if request.client else ""))
            )
            return Response(status_code=401)
        raw = await _read(request)
        if raw is None:
            await write(lambda c: _count(c, Reason.MALFORMED, clock, ""))
            return Response(status_code=400)
        await write(lambda c: _store(c, raw, users, clock))
        return Response(status_code=200)

    return [Route(PATH, take, methods=["POST"])]


async def _read(request: Request) -> dict[str, Any] | None:
    """The update, or None when it is none."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            return None
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        return None
    is_update = isinstance(raw, dict) and type(raw.get("update_id")) is int and 0 <= raw["update_id"] < 2**53
    return raw if is_update else None


def _store(connection: Connection, raw: dict[str, Any], users: frozenset[int], clock: Clock) -> None:
    store_updates(connection, [raw], users, clock())


def _count(connection: Connection, reason: Reason, clock: Clock, sample: str) -> None:
    count_refusal(connection, OTHERS, reason, clock(), sample=sample)

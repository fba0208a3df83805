"""In and out of the dashboard: a one-time code becomes a cookie, the cookie is given up."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from master.api.auth import COOKIE
from master.api.services import Services
from master.tokens import Scope, create_token, find_principal, use_token_once
from master.web.door import Door
from master.web.pages import secured

SESSION = timedelta(days=30)
#: The name that codes and sessions go by, and decisions made here are signed with.
NAME = "dashboard"


def exchange_code(connection: Connection, code: str, *, now: datetime) -> str | None:
    """A new session's token for a code that was not used yet, else None.

    Only a code is used up: the long-lived token of the command line or of a worker, pasted here by
    mistake, stays what it is.
    """
    holder = find_principal(connection, code, now=now)
    if holder is None or holder.scope is not Scope.OWNER or holder.name != NAME:
        return None
    if use_token_once(connection, code, Scope.OWNER, now=now) is None:
        return None
    return create_token(connection, Scope.OWNER, NAME, now=now, expires_at=now + SESSION)


async def login(door: Door, request: Request) -> Response:
    """``/login?code=...``. A HEAD request, such as a link preview's, uses nothing up."""
    code = request.query_params.get("code", "") if request.method == "GET" else ""
    if not code:
        return door.render(request, "login.html", {"wrong": False})
    now = door.services.clock()
    token = await door.services.write(lambda connection: exchange_code(connection, code, now=now))
    if token is None:
        return door.render(request, "login.html", {"wrong": True}, status=401)
    response = RedirectResponse("/", status_code=303)
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(SESSION.total_seconds()),
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return secured(response)


async def logout(services: Services, request: Request) -> Response:
    """The caller has been identified by the cookie: its token is worth nothing from now on."""
    token = request.cookies.get(COOKIE, "")
    if token:
        now = services.clock()
        await services.write(lambda connection: use_token_once(connection, token, Scope.OWNER, now=now))
    response = RedirectResponse("/login", status_code=303)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response

"""Who calls: a bearer token, or the dashboard's cookie."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import Request

from master.api.services import Services
from master.owners.desk import Desk
from master.owners.sessions import find_session, is_due, touch_session
from master.tokens import DASHBOARD, Principal, Scope, digest_token, find_principal
from tasks.errors import Refused

COOKIE = "d8_session"
#: Where a request that changes something, made with the cookie, carries ``form_token``.
FORM_HEADER = "x-csrf-token"
FORM_FIELD = "csrf"
#: A revoked token is refused after so long at the latest.
_REMEMBERED_S = 5.0
_REMEMBERED_MOST = 1000


class Unauthenticated(Refused):
    """No token, or one that this master does not know."""


class Gatekeeper:
    """Checks tokens and sessions, remembering the answer for a few seconds."""

    def __init__(self, services: Services) -> None:
        self._services = services
        #: Where owners are let in.
        self.desk = Desk(services.read, services.write, services.clock)
        self._known: dict[str, tuple[float, Principal]] = {}

    async def identify(self, request: Request, *, sent: str = "") -> Principal:
        """Who calls; ``Unauthenticated`` when nobody knows. ``sent``: the token that a form carried."""
        header = request.headers.get("authorization", "")
        if token := header[7:] if header.startswith("Bearer ") else "":
            return await self._remember(self._holder, token)
        token = request.cookies.get(COOKIE, "")
        if not token:
            raise Unauthenticated("this call needs a token: 'Authorization: Bearer ...'")
        visitor = await self._remember(self._visitor, token)
        check_origin(request)
        _check_form_token(request, token, sent)
        return visitor

    async def _remember(self, look_up: Callable[[str], Awaitable[Principal]], token: str) -> Principal:
        key = f"{look_up.__name__}:{digest_token(token)}"
        remembered = self._known.get(key)
        if remembered is not None and remembered[0] > time.monotonic():
            return remembered[1]
        principal = await look_up(token)
        if len(self._known) >= _REMEMBERED_MOST:
            self._known.clear()
        self._known[key] = (time.monotonic() + _REMEMBERED_S, principal)
        return principal

    async def _holder(self, token: str) -> Principal:
        """Whose token this is."""
        now = self._services.clock()
        principal = await self._services.read(lambda connection: find_principal(connection, token, now=now))
        # A one-time code opens a session, and nothing else.
        if principal is None or (principal.scope is Scope.OWNER and principal.name == DASHBOARD):
            raise Unauthenticated(
                "this token is not known here: it was revoked, has expired or is of another fleet"
            )
        return principal

    async def _visitor(self, token: str) -> Principal:
        """Whose session this is; that it is used is noted."""
        now = self._services.clock()
        session = await self._services.read(lambda connection: find_session(connection, token, now=now))
        if session is None:
            raise Unauthenticated("this session has ended: log in again")
        if is_due(session, now):
            known = session
            await self._services.write(lambda c: touch_session(c, known, now=now), durable=False)
        return Principal(
            scope=Scope.OWNER, name=session.owner or DASHBOARD, owner=session.owner, session=session.id
        )

    def forget(self) -> None:
        """After a token was revoked or a session ended: nobody is remembered any more."""
        self._known.clear()

    def require(self, *scopes: Scope) -> Callable[[Request], Awaitable[Principal]]:
        """A FastAPI dependency that lets only these scopes pass."""

        async def dependency(request: Request) -> Principal:
            principal = await self.identify(request)
            if principal.scope not in scopes:
                raise Refused(
                    f"a {principal.scope} token may not do this: it takes a {' or '.join(scopes)} token"
                )
            return principal

        return dependency


def form_token(session_token: str) -> str:
    """What a form of this session's pages carries; it says nothing of the session's own token."""
    return hmac.new(session_token.encode(), b"d8 form", hashlib.sha256).hexdigest()


def check_origin(request: Request) -> None:
    """A browser sends the cookie for any page: what changes something must come from our own."""
    if request.method in ("GET", "HEAD"):
        return
    origin = request.headers.get("origin", "")
    if urlsplit(origin).netloc != request.headers.get("host", ""):
        raise Refused("this request did not come from the dashboard's own page")


def _check_form_token(request: Request, session_token: str, sent: str) -> None:
    if request.method in ("GET", "HEAD"):
        return
    given = request.headers.get(FORM_HEADER, "") or sent
    if not hmac.compare_digest(given.encode(), form_token(session_token).encode()):
        raise Refused(
            "this form is of another session, or of none: open the page again and repeat what you did "
            "(a program that has no page sends its own token as 'Authorization: Bearer ...')"
        )

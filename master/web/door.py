"""How a page stands in the dashboard's house: who may see it, in which language, and what an error looks like."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from master.api.auth import COOKIE, Gatekeeper, Unauthenticated, form_token
from master.api.errors import show_error
from master.api.services import Services
from master.approvals import Policy
from master.locale import choose_language
from master.tokens import Principal, Scope
from master.web.forms import MOST_BYTES, sent_token
from master.web.pages import Pages, secured
from master.web.reading import read_frame
from tasks.errors import D8Error, Refused

Answer = Callable[[Request, Principal], Awaitable[Response]]
Post = Callable[[Services, Request, Principal], Awaitable[Response]]

#: Where the owner's choice of a language is kept; without it, the browser's.
LANGUAGE_COOKIE = "d8_language"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """What a page's read is given: one consistent view of the database, and what else it may need."""

    services: Services
    connection: Connection
    request: Request
    caller: Principal
    now: datetime

    @property
    def policy(self) -> Policy:
        """The owner's rules. ``InvalidInput`` when the file is wrong."""
        return self.services.policy()

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query_params

    def path(self, name: str) -> str:
        """A part of the page's address, such as ``run_id``."""
        return str(self.request.path_params[name])


Read = Callable[[Reading], dict[str, Any]]


def N_(message: str) -> str:  # noqa: N802 (gettext's own name for it)
    """Marks a message that is translated where it is shown."""
    return message


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A page in the menu, with all that stands behind it."""

    path: str
    #: As the menu shows it: a message of the catalogues.
    name: str
    routes: Callable[[Door], list[BaseRoute]]


class Door:
    """Makes routes out of what a page reads and what its forms do."""

    def __init__(self, services: Services, gatekeeper: Gatekeeper, pages: Pages) -> None:
        self.services = services
        self.gatekeeper = gatekeeper
        self.pages = pages

    def page(self, path: str, template: str, read: Read) -> Route:
        """A page for the owner: ``read`` gives the template its values, off the event loop."""

        async def answer(request: Request, caller: Principal) -> Response:
            return await self.show(request, caller, template, read)

        return self.guarded(path, answer, "GET")

    async def show(
        self,
        request: Request,
        caller: Principal,
        template: str,
        read: Read,
        *,
        more: Mapping[str, Any] | None = None,
        status: int = 200,
    ) -> Response:
        """That page now; with ``more`` in the place of what ``read`` gives, such as what a form was sent with."""

        def work(connection: Connection) -> dict[str, Any]:
            reading = Reading(
                services=self.services,
                connection=connection,
                request=request,
                caller=caller,
                now=self.services.clock(),
            )
            return {**self.frame(connection, reading.now), **read(reading), **(more or {})}

        return self.render(request, template, await self.services.read(work), status=status)

    def form(self, path: str, post: Post, *, most_bytes: int = MOST_BYTES) -> Route:
        """What a form of the owner's does; it answers with a redirection to a page."""

        async def answer(request: Request, caller: Principal) -> Response:
            return await post(self.services, request, caller)

        return self.guarded(path, answer, "POST", most_bytes=most_bytes)

    def guarded(self, path: str, answer: Answer, method: str, *, most_bytes: int = MOST_BYTES) -> Route:
        """For the owner alone; whoever is not known is led to the login, an error becomes a page."""

        async def endpoint(request: Request) -> Response:
            try:
                sent = await sent_token(request, most_bytes) if method == "POST" else ""
                return secured(await answer(request, await self.identify_owner(request, sent=sent)))
            except Unauthenticated:
                return secured(RedirectResponse("/login", status_code=303))
            except D8Error as error:
                return await self.show_error(request, error)

        return Route(path, endpoint, methods=[method])

    def frame(self, connection: Connection, now: datetime) -> dict[str, Any]:
        return read_frame(connection, self.services.settings, self.services.build, now)

    def render(
        self, request: Request, template: str, values: dict[str, Any], *, status: int = 200
    ) -> Response:
        """In the language that the owner chose, or else their browser's."""
        session = request.cookies.get(COOKIE, "")
        return self.pages.render(
            template,
            {"place": _place(request), "still": request.method == "POST", **values},
            language=language_of(request),
            status=status,
            form_token=form_token(session) if session else "",
        )

    async def show_error(self, request: Request, error: D8Error) -> Response:
        told = await show_error(request, error)
        values = {"status_code": told.status_code, "error": str(error)}
        response = self.render(request, "error.html", values, status=told.status_code)
        if "retry-after" in told.headers:
            response.headers["Retry-After"] = told.headers["retry-after"]
        return response

    async def identify_owner(self, request: Request, *, sent: str = "") -> Principal:
        """``Unauthenticated``; ``Refused`` for a token that is not an owner's, and for a form that does not
        carry (``sent``) the token of its session."""
        caller = await self.gatekeeper.identify(request, sent=sent)
        if caller.scope is not Scope.OWNER:
            raise Refused(f"a {caller.scope} token may not do this: it takes an {Scope.OWNER} token")
        return caller


def language_of(request: Request) -> str:
    return choose_language(
        request.cookies.get(LANGUAGE_COOKIE, ""), request.headers.get("accept-language", "")
    )


def _place(request: Request) -> str:
    """Where a form that belongs to no page leads back to; what only a POST has is no place to go back to."""
    if request.method != "GET":
        return "/"
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")

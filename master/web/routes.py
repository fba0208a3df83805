"""The dashboard's routes: the sections of its menu, in their order, and what is not a page."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope as AsgiScope

from master.api.auth import Gatekeeper
from master.api.services import Services
from master.tokens import Principal
from master.web import approvals, clients, darwin, home, ledger, niches, runs
from master.web.door import Door, Section
from master.web.live import live_response
from master.web.pages import STATIC, Pages, secured
from master.web.session import login, logout
from tasks.errors import D8Error

SECTIONS: tuple[Section, ...] = (
    home.SECTION,
    runs.SECTION,
    darwin.SECTION,
    niches.SECTION,
    clients.SECTION,
    approvals.SECTION,
    ledger.SECTION,
)


def web_routes(services: Services, gatekeeper: Gatekeeper) -> list[BaseRoute]:
    """Pages, their forms, the event stream and the static files."""
    door = Door(services, gatekeeper, Pages(menu=[(section.path, section.name) for section in SECTIONS]))

    async def get_login(request: Request) -> Response:
        try:
            return await login(door, request)
        except D8Error as error:
            return await door.show_error(request, error)

    async def get_events(request: Request) -> Response:
        # Not a page: a redirect to the login would be followed and understood by nobody.
        await door.identify_owner(request)
        return secured(live_response(services, request))

    async def leave(services: Services, request: Request, _: Principal) -> Response:
        return await logout(services, request)

    return [
        *(route for section in SECTIONS for route in section.routes(door)),
        door.form("/logout", leave),
        Route("/login", get_login),
        Route("/events", get_events),
        Mount("/static", _StaticFiles(directory=STATIC)),
    ]


class _StaticFiles(StaticFiles):
    async def get_response(self, path: str, scope: AsgiScope) -> Response:
        response = secured(await super().get_response(path, scope), keep=True)
        # Their addresses carry their digests.
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response

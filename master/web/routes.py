"""The dashboard's routes: the sections of its menu, in their order, and what is not a page."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope as AsgiScope

from master.api.auth import Gatekeeper
from master.api.services import Services
from master.web import approvals, clients, darwin, fleet, home, ledger, niches, runs, settings
from master.web.door import Door, Section
from master.web.language import language_route
from master.web.live import EventStreams
from master.web.pages import STATIC, Pages, secured
from master.web.session import session_routes

#: Where pages listen.
EVENTS = "/events"

SECTIONS: tuple[Section, ...] = (
    home.SECTION,
    fleet.SECTION,
    runs.SECTION,
    darwin.SECTION,
    niches.SECTION,
    clients.SECTION,
    approvals.SECTION,
    ledger.SECTION,
    settings.SECTION,
)


def web_routes(services: Services, gatekeeper: Gatekeeper) -> list[BaseRoute]:
    """Pages, their forms, the event stream and the static files."""
    door = Door(services, gatekeeper, _pages())

    return [
        *(route for section in SECTIONS for route in section.routes(door)),
        *session_routes(door, gatekeeper),
        language_route(door),
        Route(EVENTS, EventStreams(services, door.identify_owner), methods=["GET"]),
        Mount("/static", _StaticFiles(directory=STATIC)),
    ]


def _pages() -> Pages:
    return Pages(
        menu=[(section.path, section.name) for section in SECTIONS],
        settings_menu=[(page.path, page.name) for page in settings.PAGES],
    )


def find_event_streams(routes: Iterable[BaseRoute]) -> EventStreams:
    """The application behind ``/events``, for who leads calls there past what only pages need."""
    return next(
        route.app for route in routes if isinstance(route, Route) and isinstance(route.app, EventStreams)
    )


class _StaticFiles(StaticFiles):
    async def get_response(self, path: str, scope: AsgiScope) -> Response:
        response = secured(await super().get_response(path, scope), keep=True)
        # Their addresses carry their digests.
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response

"""The dashboard's routes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from master.api.auth import COOKIE, Gatekeeper
from master.api.services import Services


def web_routes(services: Services, gatekeeper: Gatekeeper) -> list[Route]:
    async def home(request: Request) -> Response:
        return PlainTextResponse("d8")

    return [Route("/", home)]

"""``/metrics``: the fleet's model servers, for Prometheus."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from master.api.auth import Gatekeeper
from master.api.services import Services
from master.fleet.workers import model_servers
from master.tokens import Scope
from tasks.metrics import CONTENT_TYPE, render_model_metrics


def metrics_route(services: Services, gatekeeper: Gatekeeper) -> Route:
    """``GET /metrics`` with the owner's token, as every call: Prometheus sends it from its
    ``authorization: credentials_file``."""
    require_owner = gatekeeper.require(Scope.OWNER)

    async def endpoint(request: Request) -> Response:
        await require_owner(request)
        body = await services.read(lambda connection: render_model_metrics(model_servers(connection)))
        return Response(body, media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})

    return Route("/metrics", endpoint, methods=["GET"])

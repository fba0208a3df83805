"""``/metrics`` and ``/metrics/models``, for Prometheus; ``/livez`` and ``/readyz``, for whoever keeps us running."""

from __future__ import annotations

import asyncio
import logging
import time

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from master.api.auth import Gatekeeper
from master.api.numbers.counted import Counted
from master.api.numbers.disk import read_disk
from master.api.numbers.now import read_now
from master.api.numbers.shown import render_numbers
from master.api.services import Services
from master.fleet.workers import model_servers
from master.tokens import Scope
from tasks.errors import InvalidInput
from tasks.log import say
from tasks.metrics import CONTENT_TYPE, render_model_metrics

log = logging.getLogger("d8.api")

#: Who asks whether the broker answers is told what was found so long ago at most.
_BROKER_REMEMBERED_S = 5.0
_BROKER_WAIT_S = 2.0


def metrics_routes(services: Services, gatekeeper: Gatekeeper) -> list[Route]:
    """``GET /metrics`` (the fleet, at most 200 series) and ``GET /metrics/models`` (all that each worker's model
    server says), with a token of scope ``metrics`` or ``owner``: Prometheus sends it from its ``authorization:
    credentials_file``."""
    may_read = gatekeeper.require(Scope.OWNER, Scope.METRICS)
    counted = Counted()
    with services.database.read() as connection:
        counted.begin(connection)

    def read_fleet(connection: Connection) -> bytes:
        now = services.clock()
        counted.look(connection, now)
        return render_numbers(
            read_now(connection, now, _month(services)),
            counted,
            read_disk(services.database, connection),
            services.refusals,
            services.build,
        )

    async def fleet(request: Request) -> Response:
        await may_read(request)
        return _exposed(await services.read(read_fleet))

    async def models(request: Request) -> Response:
        await may_read(request)
        return _exposed(await services.read(lambda c: render_model_metrics(model_servers(c))))

    return [Route("/metrics", fleet, methods=["GET"]), Route("/metrics/models", models, methods=["GET"])]


def _month(services: Services) -> str:
    """The owner's month. Under rules that cannot be read it is the one of UTC: a scrape says nothing of them."""
    try:
        return services.policy().month(services.clock())
    except InvalidInput as error:
        say(log, logging.WARNING, "policy_wrong", why=error)
        return f"{services.clock():%Y-%m}"


def _exposed(body: bytes) -> Response:
    return Response(body, media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})


class BrokerProbe:
    """Whether the broker answers, remembered for a few seconds: a probe is not to become a load."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = asyncio.Lock()
        self._until = 0.0
        self._answers = False

    async def holds(self) -> bool:
        async with self._lock:
            if time.monotonic() >= self._until:
                self._answers = await run_in_threadpool(self._ask)
                self._until = time.monotonic() + _BROKER_REMEMBERED_S
            return self._answers

    def _ask(self) -> bool:
        from kombu.connection import Connection as Broker
        from kombu.exceptions import KombuError

        url = self._services.settings.find_broker_url()
        if not url:
            return False
        options = {"socket_connect_timeout": _BROKER_WAIT_S, "socket_timeout": _BROKER_WAIT_S}
        broker = Broker(url, connect_timeout=_BROKER_WAIT_S, transport_options=options)
        try:
            broker.ensure_connection(max_retries=1, timeout=_BROKER_WAIT_S)
        except (KombuError, OSError, *broker.connection_errors):
            # The last are its transport's own: a password that is refused, for one.
            return False
        finally:
            broker.release()
        return True


def health_routes(services: Services) -> list[Route]:
    """Both say the build and no more: they answer without a token."""
    probe = BrokerProbe(services)

    async def alive(_: Request) -> Response:
        return JSONResponse({"alive": True, "build": services.build})

    async def ready(_: Request) -> Response:
        """``Unhealthy`` of the database is answered with 503 by the application."""
        await services.read(lambda connection: connection.exec_driver_sql("SELECT 1").scalar())
        broker = await probe.holds()
        answer = {"ready": broker, "build": services.build, "database": True, "broker": broker}
        return JSONResponse(answer, status_code=200 if broker else 503)

    return [Route("/livez", alive, methods=["GET"]), Route("/readyz", ready, methods=["GET"])]

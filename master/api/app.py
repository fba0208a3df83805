"""The master's HTTP door: the API, the workers' protocol and the dashboard, in one ASGI application."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio.to_thread
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, ExceptionHandler, Receive, Send
from starlette.types import Scope as Scope_

from master.api.account_routes import account_router
from master.api.approval_routes import approval_router
from master.api.artifact_routes import artifact_router
from master.api.auth import Gatekeeper
from master.api.care_routes import care_router
from master.api.clients import build_router as client_router
from master.api.darwin_routes import darwin_router
from master.api.errors import show_error, show_invalid, show_refused, show_unexpected
from master.api.event_routes import event_router
from master.api.fleet_routes import fleet_router
from master.api.headers import ApiHeaders
from master.api.host_routes import host_router
from master.api.joining import joining_routes
from master.api.ledger_routes import ledger_router
from master.api.metrics_routes import health_routes, metrics_routes
from master.api.once import once_of
from master.api.openapi import describe_api
from master.api.owner_routes import owner_router
from master.api.reader import reader_routes
from master.api.schedule_routes import schedule_router
from master.api.services import Services
from master.api.token_routes import token_router
from master.api.webhook_routes import webhook_router
from master.api.worker_routes import worker_routes
from master.approvals import PolicyFile
from master.capabilities import load_capabilities
from master.clock import utc_now
from master.dispatch.bell import CeleryBell
from master.dispatch.conductor import Conductor
from master.fleet.releases import Releases
from master.rabbitmq import find_rabbitmq, install_topology
from master.settings import Settings
from master.start import prepare_master
from master.store import Database, Writer
from master.store.artifacts import ArtifactFolder
from master.telegram.webhook_routes import webhook_routes
from master.tokens import Scope
from master.web.routes import EVENTS, find_event_streams, web_routes
from tasks.app import make_app
from tasks.build import current_build
from tasks.errors import D8Error, Unhealthy
from tasks.files import ROOT
from tasks.log import say

log = logging.getLogger("d8.api")

_HANDLERS: Mapping[Any, ExceptionHandler] = {
    D8Error: show_error,
    ValidationError: show_invalid,
    RequestValidationError: show_invalid,
    HTTPException: show_refused,
    Exception: show_unexpected,
}


#: Threads that read for calls.
_READERS = 8


def _prepare_broker(services: Services) -> None:
    """Early, so that the queues are old enough when they are needed; a broker that is away now gets it
    from the duties within a minute."""
    if services.rabbitmq is None:
        return
    try:
        install_topology(services.rabbitmq, services.build)
    except Unhealthy as error:
        say(log, logging.WARNING, "topology_not_installed", error=error)


def quick_path(api: FastAPI) -> ASGIApp:
    """The application with the workers' calls led past everything that only people's calls need:
    two of them are made for every step. So are the event streams, of which thousands may be open."""
    workers_door: ASGIApp = api.state.workers_door
    event_streams = find_event_streams(api.routes)

    async def door(scope: Scope_, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/worker/"):
            await workers_door({**scope, "path": scope["path"][len("/worker") :]}, receive, send)
        elif scope["type"] == "http" and scope["path"] == EVENTS and scope["method"] == "GET":
            await event_streams(scope, receive, send)
        else:
            await api(scope, receive, send)

    return door


def create_api(settings: Settings) -> FastAPI:
    """Opens the database and starts the conductor; ends both at shutdown."""
    load_capabilities()
    build = current_build()
    database = Database(settings.sqlalchemy_url)
    prepare_master(settings, database, build, utc_now)
    writer = Writer(database)
    services = Services(
        settings=settings,
        database=database,
        writer=writer,
        folder=ArtifactFolder(settings.artifact_folder),
        clock=utc_now,
        build=build.id,
        releases=Releases(ROOT, build.id, settings.secrets_folder / "release.key"),
        policy=PolicyFile(settings.policy_path),
        rabbitmq=find_rabbitmq(settings),
    )
    _prepare_broker(services)
    bell = CeleryBell(make_app())
    conductor = Conductor(
        database, lambda write: writer.submit(write, durable=False).result(), bell, settings, utc_now
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Each reads with a connection of its own: more would wait for a processor, and hold memory.
        anyio.to_thread.current_default_thread_limiter().total_tokens = _READERS
        yield
        conductor.close()
        writer.close()
        database.close()

    api = FastAPI(
        title="D8",
        version=build.id,
        lifespan=lifespan,
        docs_url=None,
        openapi_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    api.openapi = lambda: describe_api(api)  # type: ignore[method-assign]
    api.state.services = services
    gatekeeper = api.state.gatekeeper = Gatekeeper(services)
    api.state.workers_door = Starlette(
        routes=worker_routes(services, gatekeeper),
        exception_handlers=_HANDLERS,
    )
    api.mount("/worker", api.state.workers_door)
    api.router.routes.extend(joining_routes(services, gatekeeper))
    api.include_router(owner_router(services, gatekeeper))
    api.include_router(approval_router(services, gatekeeper))
    api.include_router(fleet_router(services, gatekeeper))
    api.include_router(host_router(services, gatekeeper))
    api.include_router(token_router(services, gatekeeper))
    api.include_router(account_router(services, gatekeeper))
    api.include_router(ledger_router(services, gatekeeper))
    api.include_router(darwin_router(services, gatekeeper))
    api.router.routes.extend(metrics_routes(services, gatekeeper))
    api.router.routes.extend(health_routes(services))
    api.include_router(artifact_router(services, gatekeeper))
    api.include_router(client_router(services.read, gatekeeper.require(Scope.OWNER), once_of(services)))
    api.include_router(schedule_router(services, gatekeeper))
    api.include_router(webhook_router(services, gatekeeper))
    api.include_router(care_router(services, gatekeeper))
    api.include_router(event_router(services, gatekeeper))
    api.router.routes.extend(reader_routes(api))
    api.router.routes.extend(webhook_routes(settings, services.write, services.clock))
    api.router.routes.extend(web_routes(services, gatekeeper))
    for kind, handler in _HANDLERS.items():
        api.add_exception_handler(kind, handler)
    api.add_middleware(ApiHeaders)
    return api

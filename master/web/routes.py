"""The dashboard's routes: who may see what, and which function answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope as AsgiScope

from master.api.auth import Gatekeeper, Unauthenticated
from master.api.errors import show_error
from master.api.services import Services
from master.tokens import Principal, Scope
from master.web.forms import post_decision, post_execution, post_run
from master.web.ledger import read_ledger
from master.web.live import live_response
from master.web.pages import STATIC, Pages, secured
from master.web.reading import Reader
from master.web.session import login, logout
from tasks.errors import D8Error, InvalidInput, Refused

Answer = Callable[[Request, Principal], Awaitable[Response]]
Read = Callable[[Reader, Connection, Request], dict[str, Any]]


def web_routes(services: Services, gatekeeper: Gatekeeper) -> list[BaseRoute]:
    """Pages, their forms, the event stream and the static files."""
    pages = Pages()

    def page(path: str, template: str, read: Read) -> Route:
        async def answer(request: Request, _: Principal) -> Response:
            reader = Reader(
                settings=services.settings,
                build=services.build,
                policy=services.policy,
                now=services.clock(),
            )
            values = await services.read(lambda connection: read(reader, connection, request))
            return pages.render(template, values)

        return guarded(path, answer, "GET")

    def guarded(path: str, answer: Answer, method: str) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                caller = await _identify_owner(gatekeeper, request)
                return secured(await answer(request, caller))
            except Unauthenticated:
                return secured(RedirectResponse("/login", status_code=303))
            except D8Error as error:
                return await _error_page(pages, request, error)

        return Route(path, endpoint, methods=[method])

    async def get_login(request: Request) -> Response:
        try:
            return await login(services, pages, request)
        except D8Error as error:
            return await _error_page(pages, request, error)

    async def get_events(request: Request) -> Response:
        # Not a page: a redirect to the login would be followed and understood by nobody.
        await _identify_owner(gatekeeper, request)
        return secured(live_response(services, request))

    async def decision(request: Request, caller: Principal) -> Response:
        return await post_decision(services, request, caller)

    async def execution(request: Request, caller: Principal) -> Response:
        return await post_execution(services, request, caller)

    async def change_run(request: Request, caller: Principal) -> Response:
        return await post_run(services, request, caller)

    async def leave(request: Request, _: Principal) -> Response:
        return await logout(services, request)

    return [
        page("/", "home.html", lambda reader, connection, _: reader.home(connection)),
        page("/runs", "runs.html", _read_runs),
        page(
            "/runs/{run_id}",
            "run.html",
            lambda reader, connection, request: reader.run(connection, request.path_params["run_id"]),
        ),
        page("/approvals", "approvals.html", lambda reader, connection, _: reader.approvals(connection)),
        page("/ledger", "ledger.html", read_ledger),
        guarded("/approvals/{approval_id}/decision", decision, "POST"),
        guarded("/approvals/{approval_id}/execution", execution, "POST"),
        guarded("/runs/{run_id}/{verb}", change_run, "POST"),
        guarded("/logout", leave, "POST"),
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


async def _identify_owner(gatekeeper: Gatekeeper, request: Request) -> Principal:
    caller = await gatekeeper.identify(request)
    if caller.scope is not Scope.OWNER:
        raise Refused(f"a {caller.scope} token may not do this: it takes an {Scope.OWNER} token")
    return caller


def _read_runs(reader: Reader, connection: Connection, request: Request) -> dict[str, Any]:
    query = request.query_params
    before = query.get("before", "")
    try:
        moment = datetime.fromisoformat(before) if before else None
        if moment is not None and moment.tzinfo is None:
            raise ValueError
    except ValueError:
        raise InvalidInput(
            f"before={before[:40]!r} is not a time with its zone, such as 2026-03-01T12:00:00+00:00"
        ) from None
    return reader.runs(connection, state=query.get("state", ""), flow=query.get("flow", ""), before=moment)


async def _error_page(pages: Pages, request: Request, error: D8Error) -> Response:
    status = (await show_error(request, error)).status_code
    return pages.render("error.html", {"status_code": status, "error": str(error)}, status=status)

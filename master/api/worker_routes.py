"""The workers' door: join, heartbeat, claim, renew, report. Plain Starlette: this is the hot path."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from master.api.auth import Gatekeeper
from master.api.services import Services
from master.clock import Clock
from master.dispatch.claims import claim_step, record_report, renew_lease
from master.dispatch.losses import record_lost
from master.dispatch.refusals import KnownRefusal
from master.fleet.logs import take_log
from master.fleet.strikes import note_success_elsewhere
from master.fleet.workers import hear_worker, join_worker, leave_worker
from master.tokens import Scope
from tasks.errors import InvalidInput, Refused
from tasks.protocol import ClaimRequest, Heartbeat, Join, Lost, Recorded, Renewal, Report, WorkerLog
from tasks.record import Record

#: A result is small; large things are artifacts.
MOST_BYTES = 16 * 1024 * 1024

Message = TypeVar("Message", bound=Record)
Handle = Callable[[Connection, Message], Record | None]


def worker_routes(services: Services, gatekeeper: Gatekeeper) -> list[Route]:
    """Routes under ``/worker/``. Each takes one record and answers with one."""
    settings, clock = services.settings, services.clock

    def route(path: str, message: type[Message], handle: Handle[Message], *, durable: bool = True) -> Route:
        async def endpoint(request: Request) -> Response:
            principal = await gatekeeper.identify(request)
            if principal.scope is not Scope.WORKER:
                raise Refused(f"a {principal.scope} token may not do this: it takes a worker token")
            parsed = message.model_validate_json(await _body(request))
            speaks_for = getattr(parsed, "worker", "")
            if principal.worker and speaks_for and speaks_for != principal.worker:
                raise Refused(f"this token is worker {principal.worker!r}'s, not {speaks_for!r}'s")
            answer = await services.write(partial(_swapped, handle, parsed), durable=durable)
            if isinstance(answer, KnownRefusal):
                services.refusals[answer.reason] += 1
            return Response(answer.model_dump_json() if answer else "{}", media_type="application/json")

        return Route(path, endpoint, methods=["POST"])

    return [
        route(
            "/claim",
            ClaimRequest,
            lambda connection, m: claim_step(connection, m, now=clock(), lease_s=settings.lease_s),
            # The first renewal makes it durable; until then a power cut costs no work to speak of.
            durable=False,
        ),
        route("/report", Report, partial(_take_report, clock=clock)),
        route("/lost", Lost, lambda connection, m: record_lost(connection, m, now=clock())),
        route(
            "/renew",
            Renewal,
            lambda connection, m: renew_lease(connection, m, now=clock(), lease_s=settings.lease_s),
        ),
        route(
            "/join",
            Join,
            lambda connection, m: join_worker(
                connection,
                m,
                now=clock(),
                heartbeat_s=settings.heartbeat_s,
                master_host=socket.gethostname(),
            ),
        ),
        route(
            "/heartbeat",
            Heartbeat,
            lambda connection, m: hear_worker(connection, m, now=clock(), heartbeat_s=settings.heartbeat_s),
        ),
        route(
            "/leave",
            Heartbeat,
            lambda connection, m: leave_worker(connection, m, now=clock()),
        ),
        route("/log", WorkerLog, lambda connection, m: take_log(connection, m, now=clock()), durable=False),
    ]


def _take_report(connection: Connection, report: Report, clock: Clock) -> Recorded:
    """A step that succeeds after it failed elsewhere says something about where it failed."""
    recorded = record_report(connection, report, now=clock())
    if report.failure is None and report.attempt > 1 and not recorded.again:
        note_success_elsewhere(connection, report.step, now=clock())
    return recorded


def _swapped(handle: Handle[Message], message: Message, connection: Connection) -> Record | None:
    return handle(connection, message)


async def _body(request: Request) -> bytes:
    if int(request.headers.get("content-length") or 0) > MOST_BYTES:
        raise InvalidInput(f"the body is larger than {MOST_BYTES} bytes: put large things into an artifact")
    return await request.body()

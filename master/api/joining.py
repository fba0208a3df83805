"""The door for machines that are not workers yet: the script that sets one up, the release, the invite."""

from __future__ import annotations

import ipaddress
import shlex
import socket
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from master.api.auth import Gatekeeper, Unauthenticated
from master.api.services import Services
from master.fleet.invites import create_invite, fingerprint, redeem_invite
from master.fleet.script import render_script, script_digest
from master.rabbitmq import create_worker_user, remove_worker_user
from master.settings import Settings
from master.tokens import Scope, find_principal
from tasks.errors import D8Error, InvalidInput, Refused
from tasks.protocol import Joined, Redeem

#: Whoever calls here has shown nothing yet.
_MOST_BYTES = 4096


class Write(Protocol):
    """A write that is durable on return; its answer as JSON values."""

    def __call__(self, function: Callable[[Connection], Any]) -> Awaitable[Any]: ...


async def invite_worker(
    services: Services, worker: str, hours: float, by: str, write: Write
) -> dict[str, Any]:
    """Make an invite; the answer holds the one command to run on the new machine."""
    await run_in_threadpool(services.releases.get)
    url = public_url(services.settings)
    now = services.clock()

    def create(connection: Connection) -> tuple[str, datetime]:
        return create_invite(connection, worker, by=by, now=now, lasts=timedelta(hours=hours))

    token, expires_at = await write(create)
    code = f"{token}.{fingerprint(services.releases.public_key)}"
    script = render_script(url, code, worker, services.releases.get()[0])
    address = f"{url}/join/{code}"
    named = f" --name {worker}" if worker else ""
    return {
        "code": code,
        "url": url,
        "worker": worker,
        "expires_at": expires_at,
        "command": (
            f"curl -fsS {shlex.quote(address)} -o d8-join.sh && "
            f"echo '{script_digest(script)}  d8-join.sh' | sha256sum -c --quiet && sh d8-join.sh"
        ),
        "command_in_checkout": f"scripts/d8 worker join {url} {code}{named}",
        "only_here": _is_loopback(services.settings.host) or _is_loopback(urlsplit(url).hostname or ""),
    }


def joining_routes(services: Services, gatekeeper: Gatekeeper) -> list[Route]:
    """``/join/CODE`` and ``/join/CODE/release`` for a machine with an invite, ``/worker-release`` for a
    worker, ``/redeem``. An invite is used up only by the last."""

    async def script(request: Request) -> Response:
        worker = await _check_invite(services, request.path_params["code"])
        release, _ = await run_in_threadpool(services.releases.get)
        url = public_url(services.settings)
        return PlainTextResponse(render_script(url, request.path_params["code"], worker, release))

    async def invited_release(request: Request) -> Response:
        await _check_invite(services, request.path_params["code"])
        return await _release(services)

    async def worker_release(request: Request) -> Response:
        principal = await gatekeeper.identify(request)
        if principal.scope is not Scope.WORKER:
            raise Refused(f"a {principal.scope} token may not do this: it takes a worker token")
        return await _release(services)

    async def redeem(request: Request) -> Response:
        if int(request.headers.get("content-length") or 0) > _MOST_BYTES:
            raise InvalidInput(f"an invite is shown in less than {_MOST_BYTES} bytes")
        body = Redeem.model_validate_json(await request.body())
        joined = await _redeem(services, body, request.url.hostname or "")
        return Response(joined.model_dump_json(), media_type="application/json")

    return [
        Route("/join/{code}", script, methods=["GET"]),
        Route("/join/{code}/release", invited_release, methods=["GET"]),
        Route("/worker-release", worker_release, methods=["GET"]),
        Route("/redeem", redeem, methods=["POST"]),
    ]


async def _redeem(services: Services, redeem: Redeem, host: str) -> Joined:
    """The broker's user is made first: an invite is not used up by a broker that is away."""
    await _check_invite(services, redeem.invite)
    rabbitmq = services.rabbitmq
    if rabbitmq is None:
        broker_url = worker_broker_url(services.settings, services.settings.find_broker_url(), host)
    else:
        own = await run_in_threadpool(create_worker_user, rabbitmq, redeem.worker)
        broker_url = worker_broker_url(services.settings, own, host)
    now = services.clock()
    try:
        token = await services.write(lambda connection: redeem_invite(connection, redeem, now=now))
    except D8Error:
        if rabbitmq is not None:
            await run_in_threadpool(remove_worker_user, rabbitmq, redeem.worker)
        raise
    return Joined(
        worker=redeem.worker,
        token=token,
        broker_url=broker_url,
        release_key=services.releases.public_key,
        build=services.build,
    )


async def _check_invite(services: Services, code: str) -> str:
    """The worker that the invite is for ("" for any). ``Unauthenticated`` when it is worth nothing."""
    token, now = code.partition(".")[0], services.clock()
    principal = await services.read(lambda connection: find_principal(connection, token, now=now))
    if principal is None or principal.scope is not Scope.INVITE:
        raise Unauthenticated(
            "this invite is not known here: it was used, has expired or is of another fleet. "
            "Make a new one on the master with 'd8 worker invite'"
        )
    return principal.worker


async def _release(services: Services) -> Response:
    release, archive = await run_in_threadpool(services.releases.get)
    return Response(
        archive,
        media_type="application/gzip",
        headers={"X-D8-Release": release.model_dump_json(), "Cache-Control": "no-store"},
    )


def public_url(settings: Settings) -> str:
    """How other machines reach this master."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host = settings.host
    if host in ("0.0.0.0", "::"):  # noqa: S104 (compared with, not bound to)
        host = _lan_address()
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def worker_broker_url(settings: Settings, url: str, host: str) -> str:
    """The broker's address for a worker that reaches the master as ``host``. ``Refused`` when it could
    not reach the broker."""
    parts = urlsplit(url)
    if settings.broker_address:
        return urlunsplit(
            parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{settings.broker_address}")
        )
    if not _is_loopback(parts.hostname or "") or _is_loopback(host):
        return url
    if not settings.broker_url.get_secret_value() and _is_loopback(settings.broker_host):
        raise Refused(
            "the broker inside this master listens on its own machine only: set D8_BROKER_HOST=0.0.0.0 on the "
            "master (in a network that you trust) or use RabbitMQ, start the master again and join once more"
        )
    login = parts.netloc.rpartition("@")[0]
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{login}@{host}{port}" if login else f"{host}{port}"))


def _lan_address() -> str:
    """The address that this machine uses towards others; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return socket.gethostname()
        address: str = probe.getsockname()[0]
        return address


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

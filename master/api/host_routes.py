"""The owner's door to one machine: what it is and did, its numbers over time, its log; and to open invites."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from sqlalchemy import Connection

from master.api.auth import Gatekeeper
from master.api.services import Services
from master.fleet.history import list_paces, list_strikes, list_worker_attempts, list_worker_failures
from master.fleet.invites import list_invites, revoke_invite
from master.fleet.logs import ask_log, find_log
from master.fleet.roster import show_worker
from master.fleet.samples import KEPT, MINUTE_S, QUARTER_S, read_samples
from master.tokens import Principal, Scope

_ATTEMPTS = 20


def host_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """``/api/workers/{name}`` and what belongs to it, ``/api/invites``."""
    router = APIRouter(prefix="/api", tags=["fleet"])
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)
    Hours = Annotated[float, Query(gt=0, le=KEPT[QUARTER_S].total_seconds() / 3600)]  # noqa: N806 (a type)
    clock, read, write = services.clock, services.read, services.write

    @router.get("/workers/{name}")
    async def get_worker(_: Owner, name: str) -> dict[str, Any]:
        return await read(lambda c: describe_worker(c, name))

    @router.get("/workers/{name}/samples")
    async def get_samples(_: Owner, name: str, hours: Hours = 24.0) -> dict[str, Any]:
        """A reading a minute up to a day, a quarter of an hour beyond it."""
        span_s = MINUTE_S if timedelta(hours=hours) <= timedelta(days=1) else QUARTER_S
        since = clock() - timedelta(hours=hours)

        def look(connection: Connection) -> list[dict[str, Any]]:
            show_worker(connection, name)
            found = read_samples(connection, name, span_s, since=since)
            return [sample.model_dump(mode="json") for sample in found]

        return {"span_s": span_s, "samples": await read(look)}

    @router.get("/workers/{name}/log")
    async def get_log(_: Owner, name: str) -> dict[str, Any]:
        return await read(lambda c: find_log(c, name).model_dump(mode="json"))

    @router.post("/workers/{name}/log", status_code=202)
    async def post_log(caller: Owner, name: str) -> dict[str, Any]:
        """Ask for it: it comes with the worker's next heartbeat."""
        await write(lambda c: ask_log(c, name, by=caller.name, now=clock()), durable=False)
        return {"name": name, "within_s": services.settings.heartbeat_s}

    @router.get("/invites")
    async def get_invites(_: Owner) -> list[dict[str, Any]]:
        return await read(lambda c: [each.model_dump(mode="json") for each in list_invites(c, now=clock())])

    @router.delete("/invites/{invite_id}", status_code=204)
    async def delete_invite(caller: Owner, invite_id: str) -> None:
        await write(lambda c: revoke_invite(c, invite_id, by=caller.name, now=clock()))

    return router


def describe_worker(connection: Connection, name: str) -> dict[str, Any]:
    """A worker with what it did lately."""
    return {
        **show_worker(connection, name),
        "attempts": list_worker_attempts(connection, name, _ATTEMPTS),
        "failures": list_worker_failures(connection, name, _ATTEMPTS),
        "strikes": [each.model_dump() for each in list_strikes(connection, name)],
        "paces": [each.model_dump() for each in list_paces(connection, name)],
    }

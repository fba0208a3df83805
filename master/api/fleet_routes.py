"""The owner's door to the fleet: workers, invites, updates, notices."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from master.api.auth import Gatekeeper
from master.api.joining import invite_worker
from master.api.services import Services
from master.fleet.invites import MOST_HOURS
from master.fleet.notices import list_notices
from master.fleet.roster import ask_update, drain_worker, list_workers, outdated_workers, remove_worker
from master.rabbitmq import remove_worker_user
from master.tokens import Principal, Scope
from tasks.protocol import Name
from tasks.record import Record


class Invite(Record):
    #: Empty: the machine names itself.
    worker: Name | None = None
    hours: float = Field(default=1.0, gt=0, le=MOST_HOURS)


def fleet_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """``/api/workers`` and ``/api/notices``."""
    router = APIRouter(prefix="/api")
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)
    clock, read, write = services.clock, services.read, services.write

    @router.get("/workers")
    async def get_workers(_: Owner, removed: bool = False) -> list[dict[str, Any]]:
        return await read(lambda c: list_workers(c, removed=removed))

    @router.post("/workers/invites", status_code=201)
    async def post_invite(caller: Owner, body: Invite) -> dict[str, Any]:
        return await invite_worker(services, body.worker or "", body.hours, caller.name)

    @router.post("/workers/update")
    async def post_update_all(caller: Owner) -> dict[str, Any]:
        names = await read(outdated_workers)
        for name in names:
            await write(lambda c, name=name: ask_update(c, name, by=caller.name, now=clock()))  # type: ignore[misc]
        return {"workers": names}

    @router.post("/workers/{name}/update")
    async def post_update(caller: Owner, name: str) -> dict[str, Any]:
        build = await write(lambda c: ask_update(c, name, by=caller.name, now=clock()))
        return {"name": name, "build": build}

    @router.post("/workers/{name}/drain")
    async def post_drain(caller: Owner, name: str, resume: bool = False) -> dict[str, Any]:
        state = await write(lambda c: drain_worker(c, name, resume=resume, by=caller.name, now=clock()))
        return {"name": name, "state": state}

    @router.delete("/workers/{name}", status_code=204)
    async def delete_worker(caller: Owner, name: str) -> None:
        await write(lambda c: remove_worker(c, name, by=caller.name, now=clock()))
        gatekeeper.forget()
        if services.rabbitmq is not None:
            await run_in_threadpool(remove_worker_user, services.rabbitmq, name)

    @router.get("/notices")
    async def get_notices(_: Owner) -> list[dict[str, Any]]:
        return await read(lambda c: [notice.model_dump(mode="json") for notice in list_notices(c)])

    return router

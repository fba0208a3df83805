"""The owner's door to the fleet: workers, invites, updates, notices."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import Field
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from master.api.answers import Asked, Invited, Moved, Updating, Worker
from master.api.auth import Gatekeeper
from master.api.joining import invite_worker
from master.api.once import Once, once_of
from master.api.paging import Page, Paging
from master.api.services import Services
from master.fleet.invites import MOST_HOURS
from master.fleet.notices import Notice, list_notices
from master.fleet.roster import ask_update, drain_worker, list_workers, outdated_workers, remove_worker
from master.rabbitmq import remove_worker_user
from master.tokens import Principal, Scope
from tasks.protocol import Name
from tasks.record import Record


class Invite(Record):
    #: Empty: the machine names itself.
    worker: Name | None = None
    hours: float = Field(default=1.0, gt=0, le=MOST_HOURS, strict=True)


_WorkerName = Annotated[str, Path(max_length=100)]


def fleet_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """``/api/workers`` and ``/api/notices``."""
    router = APIRouter(prefix="/api", tags=["fleet"])
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)
    OneWrite = Annotated[Once, Depends(once_of(services))]  # noqa: N806
    clock, read = services.clock, services.read

    @router.get("/workers", summary="List workers with what they run")
    async def get_workers(_: Owner, wanted: Paging, removed: bool = False) -> Page[Worker]:
        found = await read(lambda c: list_workers(c, removed=removed))
        return wanted.cut("workers", found, lambda worker: (worker["name"],))

    @router.post("/workers/invites", status_code=201, summary="Invite a machine to become a worker")
    async def post_invite(caller: Owner, body: Invite, once: OneWrite) -> Invited:
        return Invited.model_validate(
            await invite_worker(services, body.worker or "", body.hours, caller.name, once)
        )

    @router.post("/workers/update", summary="Ask every worker of another build to update")
    async def post_update_all(caller: Owner, once: OneWrite) -> Asked:
        def ask(connection: Connection) -> dict[str, Any]:
            names = outdated_workers(connection)
            for name in names:
                ask_update(connection, name, by=caller.name, now=clock())
            return {"workers": names}

        return Asked.model_validate(await once(ask))

    @router.post("/workers/{name}/update", summary="Ask a worker to change to the fleet's build")
    async def post_update(caller: Owner, name: _WorkerName, once: OneWrite) -> Updating:
        build = await once(lambda c: ask_update(c, name, by=caller.name, now=clock()))
        return Updating(name=name, build=build)

    @router.post("/workers/{name}/drain", summary="Give a worker nothing new, or work again")
    async def post_drain(caller: Owner, name: _WorkerName, once: OneWrite, resume: bool = False) -> Moved:
        state = await once(lambda c: drain_worker(c, name, resume=resume, by=caller.name, now=clock()))
        return Moved(name=name, state=state)

    @router.delete("/workers/{name}", status_code=204, summary="Take a worker out")
    async def delete_worker(caller: Owner, name: _WorkerName) -> None:
        await services.write(lambda c: remove_worker(c, name, by=caller.name, now=clock()))
        gatekeeper.forget()
        if services.rabbitmq is not None:
            await run_in_threadpool(remove_worker_user, services.rabbitmq, name)

    @router.get("/notices", summary="List what the owner must look at")
    async def get_notices(_: Owner, wanted: Paging) -> Page[Notice]:
        return wanted.cut("notices", await read(list_notices), lambda notice: (notice.id,))

    return router

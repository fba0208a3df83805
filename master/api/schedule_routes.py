"""Schedules and executions over HTTP."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy import Connection

from master.api.auth import Gatekeeper
from master.api.once import Once, once_of
from master.api.paging import Page, Paging
from master.api.services import Services
from master.schedules import executions, store
from master.schedules.records import Change, Execution, ExecutionState, NewSchedule, Schedule
from master.tokens import Principal, Scope
from tasks.record import Record

_Name = Annotated[str, Path(max_length=100)]


class OnOff(Record):
    enabled: bool


def schedule_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """``/api/schedules`` and ``/api/executions``."""
    router = APIRouter(prefix="/api", tags=["schedules"])
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)
    OneWrite = Annotated[Once, Depends(once_of(services))]  # noqa: N806
    clock = services.clock

    @router.get(
        "/schedules", summary="List schedules with when they are due and what became of the last time"
    )
    async def get_schedules(_: Owner, wanted: Paging) -> Page[Schedule]:
        found = await services.read(store.list_schedules)
        return wanted.cut("schedules", found, lambda each: (each.name,))

    @router.post("/schedules", status_code=201, summary="Start something by the clock")
    async def post_schedule(caller: Owner, body: NewSchedule, once: OneWrite) -> Schedule:
        zone = body.zone or services.policy().time_zone

        def add(connection: Connection) -> Schedule:
            by = caller.identity
            return store.add_schedule(connection, body, zone=zone, by=by, now=clock())

        return Schedule.model_validate(await once(add))

    @router.get("/schedules/{name}", summary="Show a schedule")
    async def get_schedule(_: Owner, name: _Name) -> Schedule:
        return await services.read(lambda c: store.get_schedule(c, name))

    @router.patch("/schedules/{name}", summary="Change a schedule")
    async def patch_schedule(caller: Owner, name: _Name, body: Change) -> Schedule:
        return await services.write(
            lambda c: store.change_schedule(c, name, body, by=caller.identity, now=clock())
        )

    @router.put("/schedules/{name}/enabled", summary="Switch a schedule on or off")
    async def put_enabled(caller: Owner, name: _Name, body: OnOff) -> Schedule:
        return await services.write(
            lambda c: store.enable_schedule(c, name, enabled=body.enabled, by=caller.identity, now=clock())
        )

    @router.delete("/schedules/{name}", status_code=204, summary="Take a schedule away")
    async def delete_schedule(caller: Owner, name: _Name) -> None:
        await services.write(lambda c: store.remove_schedule(c, name, by=caller.identity, now=clock()))

    _add_executions(router, services, Owner, OneWrite)
    return router


def _add_executions(router: APIRouter, services: Services, owner: Any, one_write: Any) -> None:
    clock = services.clock

    @router.post("/schedules/{name}/executions", status_code=201, summary="Start a schedule's work now")
    async def post_execution_now(caller: owner, name: _Name, once: one_write) -> Execution:
        def start(connection: Connection) -> Execution:
            return store.start_now(connection, name, by=caller.identity, now=clock())

        return Execution.model_validate(await once(start))

    @router.get("/executions", summary="List executions, newest first")
    async def get_executions(
        _: owner,
        wanted: Paging,
        schedule: Annotated[str, Query(max_length=100)] = "",
        state: ExecutionState | None = None,
    ) -> Page[Execution]:
        after = wanted.after("executions", datetime, str)
        found = await services.read(
            lambda c: executions.list_executions(
                c, schedule=schedule, state=state, limit=wanted.limit + 1, after=after
            )
        )
        return wanted.page("executions", found, lambda each: (each.created_at, each.id))

    @router.get("/executions/{execution_id}", summary="Show where an execution stands")
    async def get_execution(_: owner, execution_id: _Name) -> Execution:
        return await services.read(lambda c: executions.get_execution(c, execution_id))

    @router.post("/executions/{execution_id}/cancel", summary="Cancel an execution")
    async def post_cancel_execution(caller: owner, execution_id: _Name, once: one_write) -> Execution:
        def cancel(connection: Connection) -> Execution:
            return executions.cancel_execution(connection, execution_id, by=caller.name, now=clock())

        return Execution.model_validate(await once(cancel))

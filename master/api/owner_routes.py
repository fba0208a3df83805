"""The owner's door to the work: the fleet at a glance, runs, flows, pausing, login codes."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from sqlalchemy import Connection

from master.api.answers import (
    Attempt,
    Code,
    Flow,
    Made,
    Paused,
    Retried,
    RunLine,
    RunShown,
    Status,
    Step,
)
from master.api.auth import Gatekeeper
from master.api.once import Once, once_of
from master.api.paging import Page, Paging
from master.api.services import Services
from master.api.status import show_status
from master.api.values import Whole
from master.dispatch.pause import pause_dispatch
from master.flows.again import retry_from_step
from master.flows.registry import list_flows
from master.flows.runs import cancel_run, list_attempts, list_runs, retry_run, show_run, start_run
from master.tokens import Principal, Scope, create_token
from tasks.record import Record


class StartRun(Record):
    flow: str = Field(max_length=100)
    params: dict[str, Any] = Field(default_factory=dict)
    priority: Whole = Field(default=0, ge=-100, le=100)


#: The key of a step: it and all that may have come of it are done anew.
FromStep = Annotated[str, Query(max_length=500)]


def owner_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """Everything under ``/api`` about runs and the fleet as a whole."""
    router = APIRouter(prefix="/api", tags=["runs"])
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)
    OneWrite = Annotated[Once, Depends(once_of(services))]  # noqa: N806
    clock, read = services.clock, services.read

    @router.get("/runs", summary="List runs, newest first")
    async def get_runs(_: Owner, wanted: Paging, state: str = "", flow: str = "") -> Page[RunLine]:
        after = wanted.after("runs", datetime, str)
        rows = await read(lambda c: list_runs(c, state=state, flow=flow, limit=wanted.limit + 1, after=after))
        return wanted.page("runs", rows, lambda run: (run["created_at"], run["id"]))

    @router.post("/runs", status_code=201, summary="Start a run")
    async def post_run(caller: Owner, body: StartRun, once: OneWrite) -> Made:
        def start(connection: Connection) -> dict[str, str]:
            run_id = start_run(
                connection,
                body.flow,
                body.params,
                now=clock(),
                priority=body.priority,
                by=caller.identity,
            )
            return {"id": run_id}

        return Made.model_validate(await once(start))

    @router.get("/runs/{run_id}", summary="Show a run with its steps, result and artifacts")
    async def get_run(_: Owner, run_id: str) -> RunShown:
        return RunShown.model_validate(await read(lambda c: show_run(c, run_id)))

    @router.get("/runs/{run_id}/steps", summary="List a run's steps")
    async def get_steps(_: Owner, wanted: Paging, run_id: str) -> Page[Step]:
        shown = await read(lambda c: show_run(c, run_id))
        return wanted.cut("steps", shown["steps"], lambda step: (step["id"],))

    @router.get("/runs/{run_id}/attempts", summary="List the attempts at a run's steps, in order of claims")
    async def get_attempts(_: Owner, wanted: Paging, run_id: str) -> Page[Attempt]:
        after = wanted.after("attempts", datetime, int, int)
        rows = await read(lambda c: list_attempts(c, run_id, limit=wanted.limit + 1, after=after))
        return wanted.page("attempts", rows, lambda row: (row["claimed_at"], row["step_id"], row["attempt"]))

    @router.post("/runs/{run_id}/cancel", summary="Cancel a run")
    async def post_cancel(caller: Owner, run_id: str, once: OneWrite) -> RunShown:
        def cancel(connection: Connection) -> dict[str, Any]:
            cancel_run(connection, run_id, by=caller.name, now=clock())
            return show_run(connection, run_id)

        return RunShown.model_validate(await once(cancel))

    @router.post("/runs/{run_id}/retry", summary="Take a failed or cancelled run up again")
    async def post_retry(caller: Owner, run_id: str, once: OneWrite, from_step: FromStep = "") -> Retried:
        """Without ``from_step``, from where it failed."""

        def retry(connection: Connection) -> dict[str, Any]:
            if not from_step:
                again = retry_run(connection, run_id, by=caller.name, now=clock())
                return {"id": run_id, "steps": again, "aside": 0}
            taken = retry_from_step(connection, run_id, from_step, by=caller.name, now=clock())
            return {"id": run_id, "steps": taken.again, "aside": taken.aside}

        return Retried.model_validate(await once(retry))

    @router.get("/flows", summary="List the flows that a run can be of, with their params")
    async def get_flows(_: Owner, wanted: Paging) -> Page[Flow]:
        found = [Flow(name=flow.name, params=flow.params.model_json_schema()) for flow in list_flows()]
        return wanted.cut("flows", found, lambda flow: (flow.name,))

    whole = APIRouter()
    whole.include_router(router)
    whole.include_router(_fleet_as_a_whole(services, Owner, OneWrite))
    return whole


def _fleet_as_a_whole(services: Services, owner: Any, one_write: Any) -> APIRouter:
    router, clock = APIRouter(prefix="/api"), services.clock

    @router.get("/status", summary="The fleet at a glance", tags=["fleet"])
    async def get_status(_: owner) -> Status:
        return Status.model_validate(
            await services.read(lambda c: show_status(c, services.settings, services.build, clock()))
        )

    @router.post("/dispatch/{verb}", summary="Send no more steps, or send them again", tags=["fleet"])
    async def post_dispatch(caller: owner, verb: Literal["pause", "resume"], once: one_write) -> Paused:
        paused = verb == "pause"

        def pause(connection: Connection) -> dict[str, bool]:
            pause_dispatch(connection, paused=paused, by=caller.name, now=clock())
            return {"paused": paused}

        return Paused.model_validate(await once(pause))

    @router.post("/login-codes", status_code=201, summary="Make a code that logs in once", tags=["tokens"])
    async def post_login_code(_: owner, once: one_write) -> Code:
        def make(connection: Connection) -> dict[str, str]:
            now = clock()
            until = now + timedelta(minutes=15)
            return {"code": create_token(connection, Scope.OWNER, "dashboard", now=now, expires_at=until)}

        return Code.model_validate(await once(make))

    return router

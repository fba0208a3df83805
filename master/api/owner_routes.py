"""The owner's door: runs, workers, approvals, artifacts, events, as JSON."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import FileResponse, Response
from pydantic import Field

from master.api.auth import Gatekeeper
from master.api.services import Services
from master.api.status import show_status
from master.dispatch.pause import pause_dispatch
from master.events import events_after, newest_events
from master.flows.again import retry_from_step
from master.flows.runs import cancel_run, list_attempts, list_runs, retry_run, show_run, start_run
from master.store.artifacts import find_artifact, record_artifact
from master.tokens import Principal, Scope, create_token
from tasks.errors import InvalidInput, NotFound
from tasks.record import Record

MOST_ARTIFACT_BYTES = 256 * 1024 * 1024


class StartRun(Record):
    flow: str = Field(max_length=100)
    params: dict[str, Any] = Field(default_factory=dict)
    priority: int = Field(default=0, ge=-100, le=100)


def owner_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """Everything under ``/api`` that needs the owner's token."""
    router = APIRouter(prefix="/api")
    owner = gatekeeper.require(Scope.OWNER)
    Owner = Annotated[Principal, Depends(owner)]  # noqa: N806 (a type)
    clock, read, write = services.clock, services.read, services.write

    @router.get("/status")
    async def status(_: Owner) -> dict[str, Any]:
        return await read(lambda c: show_status(c, services.settings, services.build, clock()))

    @router.get("/runs")
    async def get_runs(
        _: Owner, state: str = "", flow: str = "", limit: Annotated[int, Query(ge=1, le=500)] = 50
    ) -> list[dict[str, Any]]:
        return await read(lambda c: list_runs(c, state=state, flow=flow, limit=limit))

    @router.post("/runs", status_code=201)
    async def post_run(
        caller: Owner, body: StartRun, idempotency_key: Annotated[str, Header(max_length=200)] = ""
    ) -> dict[str, Any]:
        run_id = await write(
            lambda c: start_run(
                c,
                body.flow,
                body.params,
                now=clock(),
                priority=body.priority,
                idempotency_key=idempotency_key,
                by=f"token:{caller.name}",
            )
        )
        return {"id": run_id}

    @router.get("/runs/{run_id}")
    async def get_run(_: Owner, run_id: str) -> dict[str, Any]:
        return await read(lambda c: show_run(c, run_id))

    @router.get("/runs/{run_id}/attempts")
    async def get_attempts(_: Owner, run_id: str) -> list[dict[str, Any]]:
        return await read(lambda c: list_attempts(c, run_id))

    @router.post("/runs/{run_id}/cancel")
    async def post_cancel(caller: Owner, run_id: str) -> dict[str, Any]:
        await write(lambda c: cancel_run(c, run_id, by=caller.name, now=clock()))
        return await read(lambda c: show_run(c, run_id))

    @router.post("/runs/{run_id}/retry")
    async def post_retry(
        caller: Owner, run_id: str, from_step: Annotated[str, Query(max_length=500)] = ""
    ) -> dict[str, Any]:
        """Without ``from_step``, from where it failed; ``steps`` are tried again, ``aside`` asked for anew."""
        if from_step:
            taken = await write(lambda c: retry_from_step(c, run_id, from_step, by=caller.name, now=clock()))
            return {"id": run_id, "steps": taken.again, "aside": taken.aside}
        steps = await write(lambda c: retry_run(c, run_id, by=caller.name, now=clock()))
        return {"id": run_id, "steps": steps, "aside": 0}

    @router.post("/dispatch/{verb}")
    async def post_dispatch(caller: Owner, verb: str) -> dict[str, Any]:
        if verb not in ("pause", "resume"):
            raise NotFound(f"dispatch can be asked to pause or resume, not to {verb!r}")

        paused = verb == "pause"
        await write(lambda c: pause_dispatch(c, paused=paused, by=caller.name, now=clock()))
        return {"paused": paused}

    @router.get("/events")
    async def get_events(
        _: Owner, after: int | None = None, run: str = "", limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> list[dict[str, Any]]:
        if after is None and not run:
            return await read(lambda c: newest_events(c, limit))
        return await read(lambda c: events_after(c, after or 0, run_id=run, limit=limit))

    @router.post("/login-codes", status_code=201)
    async def post_login_code(_: Owner) -> dict[str, Any]:
        now = clock()
        return {
            "code": await write(
                lambda c: create_token(
                    c, Scope.OWNER, "dashboard", now=now, expires_at=now + timedelta(minutes=15)
                )
            )
        }

    return router


def artifact_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """Artifacts: uploaded and read by owners and workers."""
    router = APIRouter(prefix="/api/artifacts")
    Anyone = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER, Scope.WORKER))]  # noqa: N806 (a type)

    @router.put("/{digest}", status_code=201)
    async def put(
        _: Anyone, digest: str, request: Request, name: str = "", media_type: str = "", run: str = ""
    ) -> dict[str, Any]:
        if int(request.headers.get("content-length") or 0) > MOST_ARTIFACT_BYTES:
            raise InvalidInput(f"an artifact has at most {MOST_ARTIFACT_BYTES} bytes")
        services.folder.path(digest)
        data = await request.body()
        written = await services.read(lambda _c: services.folder.write(data))
        if written != digest:
            raise InvalidInput(f"the bytes that came have SHA-256 {written}, not {digest}: send them again")
        await services.write(
            lambda c: record_artifact(
                c,
                digest,
                name=name or digest[:12],
                media_type=media_type or "application/octet-stream",
                size=len(data),
                run_id=run,
                now=services.clock(),
            )
        )
        return {"digest": digest, "size": len(data)}

    @router.get("/{digest}")
    async def get(_: Anyone, digest: str) -> Response:
        path = services.folder.path(digest)
        about = await services.read(lambda c: find_artifact(c, digest))
        if about is None or not path.exists():
            raise NotFound(f"there is no artifact {digest}")
        # Never rendered on the dashboard's own origin: a page made by a flow is data, not our page.
        return FileResponse(
            path,
            media_type=str(about["media_type"]),
            filename=str(about["name"]),
            headers={"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"},
        )

    return router

"""Artifacts over HTTP: listed, uploaded, read."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import FileResponse, Response

from master.api.answers import ArtifactFound, Kept
from master.api.auth import Gatekeeper
from master.api.paging import Page, Paging
from master.api.services import Services
from master.store.artifacts import find_artifact, list_artifacts, record_artifact
from master.tokens import Principal, Scope
from tasks.errors import InvalidInput, NotFound

MOST_BYTES = 256 * 1024 * 1024
_Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 in hexadecimal")]
_BYTES = {"schema": {"type": "string", "format": "binary"}}


def artifact_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """Artifacts: uploaded and read by owners and workers, listed for owners."""
    router = APIRouter(prefix="/api/artifacts", tags=["artifacts"])
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)
    Anyone = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER, Scope.WORKER))]  # noqa: N806

    @router.get("", summary="List what is kept, newest first")
    async def get_artifacts(_: Owner, wanted: Paging, run: str = "") -> Page[ArtifactFound]:
        after = wanted.after("artifacts", datetime, str)
        rows = await services.read(
            lambda c: list_artifacts(c, run_id=run, limit=wanted.limit + 1, after=after)
        )
        return wanted.page("artifacts", rows, lambda row: (row["created_at"], row["digest"]))

    @router.put(
        "/{digest}",
        status_code=201,
        summary="Keep bytes under their SHA-256",
        openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": _BYTES}}},
    )
    async def put_artifact(
        _: Anyone,
        digest: _Digest,
        request: Request,
        name: Annotated[str, Query(max_length=200)] = "",
        media_type: Annotated[str, Query(max_length=100, pattern=r"^([\w.+-]+/[\w.+-]+)?$")] = "",
        run: Annotated[str, Query(max_length=200)] = "",
    ) -> Kept:
        if int(request.headers.get("content-length") or 0) > MOST_BYTES:
            raise InvalidInput(f"an artifact has at most {MOST_BYTES} bytes")
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
        return Kept(digest=digest, size=len(data))

    @router.get(
        "/{digest}",
        summary="Read an artifact's bytes",
        response_class=Response,
        responses={200: {"description": "The bytes, with their own media type", "content": {"*/*": _BYTES}}},
    )
    async def get_artifact(_: Anyone, digest: _Digest) -> Response:
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

"""Evolutions, as JSON: how one stands, and to end it with what it has."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from master.api.auth import Gatekeeper
from master.api.services import Services
from master.darwin.records import stop_evolution
from master.darwin.view import show_evolution
from master.tokens import Principal, Scope


def darwin_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """Everything under ``/api/evolutions``."""
    router = APIRouter(prefix="/api/evolutions")
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)

    async def shown(run_id: str) -> dict[str, Any]:
        return await services.read(
            lambda c: show_evolution(c, run_id, services.folder.read, now=services.clock())
        )

    @router.get("/{run_id}")
    async def get_evolution(_: Owner, run_id: str) -> dict[str, Any]:
        return await shown(run_id)

    @router.post("/{run_id}/stop")
    async def post_stop(caller: Owner, run_id: str) -> dict[str, Any]:
        await shown(run_id)
        await services.write(lambda c: stop_evolution(c, run_id, by=caller.name, now=services.clock()))
        return await shown(run_id)

    return router

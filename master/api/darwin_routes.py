"""Evolutions, as JSON: how one stands, and to end it with what it has."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from sqlalchemy import Connection

from master.api.auth import Gatekeeper
from master.api.evolution_answers import Evolution
from master.api.once import Once, once_of
from master.api.services import Services
from master.darwin.records import stop_evolution
from master.darwin.view import show_evolution
from master.tokens import Principal, Scope


def darwin_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """Everything under ``/api/evolutions``."""
    router = APIRouter(prefix="/api/evolutions", tags=["darwin"])
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)
    OneWrite = Annotated[Once, Depends(once_of(services))]  # noqa: N806

    def shown(connection: Connection, run_id: str) -> dict[str, Any]:
        return show_evolution(connection, run_id, services.folder.read, now=services.clock())

    @router.get("/{run_id}", summary="Show how an evolution stands")
    async def get_evolution(_: Owner, run_id: str) -> Evolution:
        return Evolution.model_validate(await services.read(lambda c: shown(c, run_id)))

    @router.post("/{run_id}/stop", summary="End an evolution with what it has")
    async def post_stop(caller: Owner, run_id: str, once: OneWrite) -> Evolution:
        await services.read(lambda c: shown(c, run_id))
        await once(lambda c: stop_evolution(c, run_id, by=caller.name, now=services.clock()))
        return Evolution.model_validate(await services.read(lambda c: shown(c, run_id)))

    return router

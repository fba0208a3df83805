"""What happened, over HTTP: listed, and as it happens."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from master.api.answers import Event
from master.api.auth import Gatekeeper
from master.api.paging import Page, Paging
from master.api.services import Services
from master.events import events_after, newest_events
from master.tokens import Principal, Scope

_Run = Annotated[str, Query(max_length=200, description="only of this run")]
_Name = Annotated[str, Query(max_length=100, description="only of this name, such as run_done")]


def event_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """``/api/events``."""
    router = APIRouter(prefix="/api/events", tags=["events"])
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)

    @router.get("", summary="List events, newest first or oldest first")
    async def get_events(
        _: Owner,
        wanted: Paging,
        run: _Run = "",
        name: _Name = "",
        order: Literal["newest", "oldest"] = "newest",
    ) -> Page[Event]:
        of = f"events-{order}"
        after = wanted.after(of, int)
        seq, most = after[0] if after else None, wanted.limit + 1
        if order == "newest":
            rows = await services.read(lambda c: newest_events(c, most, before=seq, run_id=run, name=name))
        else:
            rows = await services.read(lambda c: events_after(c, seq or 0, run_id=run, name=name, limit=most))
        return wanted.page(of, rows, lambda row: (row["seq"],))

    return router

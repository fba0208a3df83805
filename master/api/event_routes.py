"""What happened, over HTTP: listed, and as it happens."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import StreamingResponse

from master.api.answers import Event
from master.api.auth import Gatekeeper
from master.api.event_stream import stream_events
from master.api.paging import Page, Paging
from master.api.services import Services
from master.events import events_after, newest_events
from master.events.follow import check_patterns
from master.tokens import Principal, Scope
from master.web.live import server_is_ending, start_after

_Run = Annotated[str, Query(max_length=200, description="only of this run")]
_Name = Annotated[str, Query(max_length=100, description="only of this name, such as run_done")]
_TEXT = {"schema": {"type": "string"}}


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

    @router.get(
        "/stream",
        summary="Follow events as they happen (server-sent events)",
        response_class=StreamingResponse,
        responses={200: {"description": "One message an event", "content": {"text/event-stream": _TEXT}}},
    )
    async def stream(
        _: Owner,
        run: _Run = "",
        name: Annotated[list[str], Query(max_length=50, description="names or patterns such as run_*")] = [],  # noqa: B006
        after: Annotated[int | None, Query(ge=0, le=2**53, description="number of the last seen")] = None,
        last_event_id: Annotated[str, Header(max_length=100)] = "",
    ) -> StreamingResponse:
        seq = start_after(last_event_id, "" if after is None else str(after))
        names = check_patterns(name)
        return StreamingResponse(
            stream_events(services, seq, run_id=run, names=names, ending=server_is_ending),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )

    return router

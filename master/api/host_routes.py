"""The owner's door to one machine: what it is and did, its numbers over time, its log; and to open invites."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy import Connection

from master.api.answers import Answer, Worker
from master.api.auth import Gatekeeper
from master.api.once import Once, once_of
from master.api.paging import Page, Paging
from master.api.services import Services
from master.fleet.history import (
    Pace,
    Strikes,
    list_paces,
    list_strikes,
    list_worker_attempts,
    list_worker_failures,
)
from master.fleet.invites import Invite, list_invites, revoke_invite
from master.fleet.logs import KeptLog, ask_log, find_log
from master.fleet.readings import Reading
from master.fleet.roster import show_worker
from master.fleet.samples import KEPT, MINUTE_S, QUARTER_S, read_samples
from master.tokens import Principal, Scope

_ATTEMPTS = 20


class WorkerAttempt(Answer):
    """One try of this worker at a step."""

    step_id: int
    run_id: str
    key: str
    task: str
    attempt: int
    claimed_at: datetime
    ended_at: datetime | None
    #: "done", or the kind of failure; empty while it runs.
    outcome: str
    error: str


class WorkerShown(Worker):
    """A worker with what it did lately, newest first."""

    attempts: tuple[WorkerAttempt, ...]
    failures: tuple[WorkerAttempt, ...]
    strikes: tuple[Strikes, ...]
    paces: tuple[Pace, ...]


class SampleShown(Answer):
    at: datetime
    reading: Reading


class Samples(Answer):
    """Readings, oldest first; each of the span that began at its time."""

    span_s: Literal[60, 900]
    samples: tuple[SampleShown, ...]


class LogAsked(Answer):
    name: str
    #: The worker is heard from at least so often.
    within_s: float


_WorkerName = Annotated[str, Path(max_length=100)]
_InviteId = Annotated[str, Path(max_length=100)]
_Hours = Annotated[float, Query(gt=0, le=KEPT[QUARTER_S].total_seconds() / 3600, description="how far back")]


def host_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """``/api/workers/{name}`` and what belongs to it, ``/api/invites``."""
    router = APIRouter(prefix="/api", tags=["fleet"])
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)
    OneWrite = Annotated[Once, Depends(once_of(services))]  # noqa: N806
    clock, read = services.clock, services.read

    @router.get("/workers/{name}", summary="One worker with what it did lately")
    async def get_worker(_: Owner, name: _WorkerName) -> WorkerShown:
        return WorkerShown.model_validate(await read(lambda c: describe_worker(c, name)))

    @router.get("/workers/{name}/samples", summary="A worker's numbers over time")
    async def get_samples(_: Owner, name: _WorkerName, hours: _Hours = 24.0) -> Samples:
        """A reading a minute up to a day, one a quarter of an hour beyond it."""
        span_s = MINUTE_S if timedelta(hours=hours) <= timedelta(days=1) else QUARTER_S
        since = clock() - timedelta(hours=hours)

        def look(connection: Connection) -> list[dict[str, Any]]:
            show_worker(connection, name)
            found = read_samples(connection, name, span_s, since=since)
            return [{"at": sample.at, "reading": sample.reading} for sample in found]

        return Samples.model_validate({"span_s": span_s, "samples": await read(look)})

    @router.get("/workers/{name}/log", summary="The end of a worker's log as it came last")
    async def get_log(_: Owner, name: _WorkerName) -> KeptLog:
        return await read(lambda c: find_log(c, name))

    @router.post("/workers/{name}/log", status_code=202, summary="Ask a worker for the end of its log")
    async def post_log(caller: Owner, name: _WorkerName, once: OneWrite) -> LogAsked:
        """It comes with the worker's next heartbeat."""
        await once(lambda c: ask_log(c, name, by=caller.name, now=clock()))
        return LogAsked(name=name, within_s=services.settings.heartbeat_s)

    @router.get("/invites", summary="List the invites that are good now")
    async def get_invites(_: Owner, wanted: Paging) -> Page[Invite]:
        found = await read(lambda c: list_invites(c, now=clock()))
        return wanted.cut("invites", found, lambda invite: (invite.id,))

    @router.delete("/invites/{invite_id}", status_code=204, summary="Take an invite back")
    async def delete_invite(caller: Owner, invite_id: _InviteId) -> None:
        await services.write(lambda c: revoke_invite(c, invite_id, by=caller.name, now=clock()))

    return router


def describe_worker(connection: Connection, name: str) -> dict[str, Any]:
    """A worker with what it did lately."""
    return {
        **show_worker(connection, name),
        "attempts": list_worker_attempts(connection, name, _ATTEMPTS),
        "failures": list_worker_failures(connection, name, _ATTEMPTS),
        "strikes": list_strikes(connection, name),
        "paces": list_paces(connection, name),
    }

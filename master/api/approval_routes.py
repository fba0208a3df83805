"""Approval requests over HTTP: list, look, decide, done, abandoned; the rules that hold."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from sqlalchemy import Connection

from master.api.auth import Gatekeeper
from master.api.once import Once, once_of
from master.api.paging import Page, Paging
from master.api.services import Services
from master.approvals import (
    Approval,
    ApprovalState,
    Policy,
    Voter,
    abandon,
    decide,
    execute,
    get_approval,
    list_approvals,
    record_refusal,
)
from master.ledger import parse_money
from master.tokens import Principal, Scope
from tasks.errors import D8Error
from tasks.record import Record

_Run = Annotated[str, Query(max_length=200, description="only of this run")]


class Decide(Record):
    approve: bool = Field(strict=True)
    note: str = Field(default="", max_length=2000)
    #: Of what was looked at: a request that was changed since is not decided.
    digest: str = Field(default="", max_length=64)


class Done(Record):
    #: What it cost: "12.50 EUR"; empty: exactly what was approved.
    actual: str = Field(default="", max_length=40)
    #: Of the human's act: an invoice number, an account's name. Never a password.
    reference: str = Field(default="", max_length=200)
    note: str = Field(default="", max_length=2000)


class Abandon(Record):
    reason: str = Field(min_length=1, max_length=2000)


Act = Callable[[Connection, Voter, datetime], Approval]


def voter_of(caller: Principal, door: str) -> Voter:
    """The caller as approvals know who answers."""
    return Voter(identity=caller.identity, name=caller.name, door=door)


async def answer(
    services: Services, approval_id: str, voter: Voter, act: Act, once: Once | None = None
) -> Approval:
    """Let a person answer; an answer that is refused leaves a trace."""
    now = services.clock()
    try:
        write = once or services.write
        return Approval.model_validate(await write(lambda connection: act(connection, voter, now)))
    except D8Error as error:
        why = str(error)
        await services.write(lambda connection: record_refusal(connection, approval_id, voter, why, now=now))
        raise


def approval_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """``/api/approvals`` and ``/api/policy``."""
    router = APIRouter(prefix="/api", tags=["approvals"])
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)
    OneWrite = Annotated[Once, Depends(once_of(services))]  # noqa: N806

    @router.get("/approvals", summary="List requests: pending ones oldest first, all others newest first")
    async def get_approvals(
        _: Owner, wanted: Paging, state: ApprovalState | None = None, run: _Run = ""
    ) -> Page[Approval]:
        newest_first = state is not ApprovalState.PENDING
        of = "approvals-newest" if newest_first else "approvals-oldest"
        after = wanted.after(of, datetime, str)
        found = await services.read(
            lambda c: list_approvals(
                c, state, run_id=run, newest_first=newest_first, limit=wanted.limit + 1, after=after
            )
        )
        return wanted.page(of, found, lambda one: (one.created_at, one.id))

    @router.get("/approvals/{approval_id}", summary="Show a request")
    async def get_one_approval(_: Owner, approval_id: str) -> Approval:
        return await services.read(lambda c: get_approval(c, approval_id))

    @router.post("/approvals/{approval_id}/decision", summary="Approve or reject a request")
    async def post_decision(caller: Owner, approval_id: str, body: Decide, once: OneWrite) -> Approval:
        def act(connection: Connection, voter: Voter, now: datetime) -> Approval:
            return decide(
                connection,
                approval_id,
                approve=body.approve,
                voter=voter,
                policy=services.policy(),
                note=body.note,
                now=now,
                digest=body.digest or None,
            )

        return await answer(services, approval_id, voter_of(caller, "api"), act, once)

    @router.post("/approvals/{approval_id}/execution", summary="Say that what was approved is done")
    async def post_execution(caller: Owner, approval_id: str, body: Done, once: OneWrite) -> Approval:
        actual = parse_money(body.actual) if body.actual else None

        def act(connection: Connection, voter: Voter, now: datetime) -> Approval:
            return execute(
                connection,
                approval_id,
                actual=actual,
                voter=voter,
                reference=body.reference,
                note=body.note,
                now=now,
            )

        return await answer(services, approval_id, voter_of(caller, "api"), act, once)

    @router.post(
        "/approvals/{approval_id}/abandonment", summary="Say that what was approved will not be done"
    )
    async def post_abandonment(caller: Owner, approval_id: str, body: Abandon, once: OneWrite) -> Approval:
        def act(connection: Connection, voter: Voter, now: datetime) -> Approval:
            return abandon(connection, approval_id, voter=voter, reason=body.reason, now=now)

        return await answer(services, approval_id, voter_of(caller, "api"), act, once)

    @router.get("/policy", summary="Show the owner's rules")
    async def get_policy(_: Owner) -> Policy:
        return services.policy()

    return router

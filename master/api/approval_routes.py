"""Approval requests over HTTP: list, look, decide, done, abandoned; the rules that hold."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from sqlalchemy import Connection

from master.api.auth import Gatekeeper
from master.api.services import Services
from master.approvals import (
    Approval,
    ApprovalState,
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


class Decide(Record):
    approve: bool
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


async def answer(services: Services, approval_id: str, voter: Voter, act: Act) -> Approval:
    """Let a person answer; an answer that is refused leaves a trace."""
    now = services.clock()
    try:
        return await services.write(lambda connection: act(connection, voter, now))
    except D8Error as error:
        why = str(error)
        await services.write(lambda connection: record_refusal(connection, approval_id, voter, why, now=now))
        raise


def approval_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """``/api/approvals`` and ``/api/policy``."""
    router = APIRouter(prefix="/api")
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)

    @router.get("/approvals")
    async def get_approvals(
        _: Owner, state: ApprovalState | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 500
    ) -> list[dict[str, Any]]:
        newest_first = state is not ApprovalState.PENDING
        found = await services.read(
            lambda c: list_approvals(c, state, newest_first=newest_first, limit=limit)
        )
        return [approval.model_dump(mode="json") for approval in found]

    @router.get("/approvals/{approval_id}")
    async def get_one_approval(_: Owner, approval_id: str) -> dict[str, Any]:
        return (await services.read(lambda c: get_approval(c, approval_id))).model_dump(mode="json")

    @router.post("/approvals/{approval_id}/decision")
    async def post_decision(caller: Owner, approval_id: str, body: Decide) -> dict[str, Any]:
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

        decided = await answer(services, approval_id, voter_of(caller, "api"), act)
        return decided.model_dump(mode="json")

    @router.post("/approvals/{approval_id}/execution")
    async def post_execution(caller: Owner, approval_id: str, body: Done) -> dict[str, Any]:
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

        done = await answer(services, approval_id, voter_of(caller, "api"), act)
        return done.model_dump(mode="json")

    @router.post("/approvals/{approval_id}/abandonment")
    async def post_abandonment(caller: Owner, approval_id: str, body: Abandon) -> dict[str, Any]:
        def act(connection: Connection, voter: Voter, now: datetime) -> Approval:
            return abandon(connection, approval_id, voter=voter, reason=body.reason, now=now)

        left = await answer(services, approval_id, voter_of(caller, "api"), act)
        return left.model_dump(mode="json")

    @router.get("/policy")
    async def get_policy(_: Owner) -> dict[str, Any]:
        return services.policy().model_dump(mode="json")

    return router

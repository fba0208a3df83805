"""The owner's door to the money: balances, reports, entries, budgets, exports, corrections."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import Field
from sqlalchemy import Connection

from master.api.auth import Gatekeeper
from master.api.services import Services
from master.ledger.export import FORMATS, MEDIA_TYPES, SUFFIXES, JournalWriter, report_csv
from master.ledger.money import parse_money
from master.ledger.movements import record_movement, reverse
from master.ledger.report import MonthReport, balance, budget_uses, list_entries, month_report
from master.ledger.verify import Verification, one_view, verify_ledger
from master.tokens import Principal, Scope
from tasks.errors import InvalidInput
from tasks.record import Record

#: Entries of one page of an export.
_PAGE = 1000


class Movement(Record):
    """What was paid or received outside of approvals."""

    kind: Literal["expense", "income"]
    #: "12.50 EUR"
    amount: str = Field(max_length=60)
    category: str = Field(default="", max_length=50)
    #: "client:alba", "niche:trail-running": what the money is attributed to.
    project: str = Field(default="", max_length=200)
    run_id: str = Field(default="", max_length=200)
    note: str = Field(default="", max_length=2000)
    #: The invoice's or transfer's number.
    reference: str = Field(default="", max_length=200)
    #: "2026-11"; empty: the current one.
    month: str = Field(default="", max_length=7)


class Reversal(Record):
    seq: int = Field(ge=1)
    reason: str = Field(min_length=1, max_length=2000)


def ledger_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """``/api/ledger``."""
    router = APIRouter(prefix="/api/ledger")
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)
    Key = Annotated[str, Header(alias="Idempotency-Key", max_length=200)]  # noqa: N806 (a type)

    @router.post("/record", status_code=201)
    async def post_record(caller: Owner, body: Movement, idempotency_key: Key = "") -> dict[str, Any]:
        amount = parse_money(body.amount)
        fields = body.model_dump(exclude={"amount"}) | {"month": body.month or this_month(services)}
        seq = await services.write(
            lambda c: record_movement(
                c,
                amount=amount,
                by=caller.name,
                now=services.clock(),
                idempotency_key=idempotency_key,
                **fields,
            )
        )
        return {"seq": seq}

    @router.post("/reversals", status_code=201)
    async def post_reversal(caller: Owner, body: Reversal, idempotency_key: Key = "") -> dict[str, Any]:
        seq = await services.write(
            lambda c: reverse(
                c,
                body.seq,
                reason=body.reason,
                by=caller.name,
                now=services.clock(),
                idempotency_key=idempotency_key,
            )
        )
        return {"seq": seq}

    _add_reading(router, services, Owner)
    _add_files(router, services, Owner)
    return router


def _add_reading(router: APIRouter, services: Services, owner: Any) -> None:
    @router.get("/balance")
    async def get_balance(_: owner) -> list[dict[str, Any]]:
        return [each.model_dump(mode="json") for each in await services.read(balance)]

    @router.get("/report")
    async def get_report(_: owner, month: str = "") -> dict[str, Any]:
        return (await services.read(lambda c: _report(c, services, month))).model_dump(mode="json")

    @router.get("/entries")
    async def get_entries(
        _: owner,
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        month: str = "",
    ) -> list[dict[str, Any]]:
        found = await services.read(lambda c: list_entries(c, after=after, limit=limit, month=month))
        return [each.model_dump(mode="json") for each in found]

    @router.get("/budgets")
    async def get_budgets(_: owner, month: str = "") -> list[dict[str, Any]]:
        lines = services.policy().budgets
        wanted = month or this_month(services)
        found = await services.read(lambda c: budget_uses(c, lines, wanted))
        return [{"month": wanted, **each.model_dump(mode="json")} for each in found]

    @router.get("/verify")
    async def get_verify(_: owner, head: Annotated[str, Query(max_length=64)] = "") -> dict[str, Any]:
        def verify(connection: Connection) -> Verification:
            one_view(connection)
            return verify_ledger(connection, head=head.strip().lower())

        return (await services.read(verify)).model_dump(mode="json")


def _add_files(router: APIRouter, services: Services, owner: Any) -> None:
    @router.get("/report.csv")
    async def get_report_csv(_: owner, month: str = "") -> Response:
        report = await services.read(lambda c: _report(c, services, month))
        return Response(
            report_csv(report), media_type="text/csv", headers=_as_file(f"ledger-{report.month}.csv")
        )

    @router.get("/export")
    async def get_export(_: owner, format: str = "hledger") -> Response:  # noqa: A002 (the query's name)
        if format not in FORMATS:
            raise InvalidInput(f"there is no format {format[:40]!r}: choose one of {', '.join(FORMATS)}")
        return StreamingResponse(
            _export(services, format),
            media_type=MEDIA_TYPES[format],
            headers=_as_file(f"ledger.{SUFFIXES[format]}"),
        )


async def _export(services: Services, form: str) -> AsyncIterator[str]:
    """A page at a time: what is written never changes, so pages of different moments fit together."""
    writer, after = JournalWriter(form), 0
    yield writer.begin()
    while page := await services.read(lambda c, after=after: list_entries(c, after=after, limit=_PAGE)):  # type: ignore[misc]
        yield writer.page(page)
        after = page[-1].seq


def this_month(services: Services) -> str:
    """In the owner's time zone, as approvals count."""
    return services.policy().month(services.clock())


def _report(connection: Connection, services: Services, month: str) -> MonthReport:
    return month_report(connection, services.policy().budgets, month or this_month(services))


def _as_file(name: str) -> dict[str, str]:
    return {
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }

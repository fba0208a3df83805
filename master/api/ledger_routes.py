"""The owner's door to the money: balances, reports, entries, budgets, exports, corrections."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import Field
from sqlalchemy import Connection

from master.api.answers import Budget, Entry
from master.api.auth import Gatekeeper
from master.api.once import Once, once_of
from master.api.paging import Page, Paging
from master.api.services import Services
from master.api.values import Whole
from master.ledger.export import MEDIA_TYPES, SUFFIXES, JournalWriter, report_csv
from master.ledger.money import parse_money
from master.ledger.movements import record_movement, reverse
from master.ledger.report import (
    Balance,
    EntryLine,
    MonthReport,
    balance,
    budget_uses,
    list_entries,
    month_report,
)
from master.ledger.verify import Verification, one_view, verify_ledger
from master.tokens import Principal, Scope
from tasks.record import Record

#: Entries of one page of an export.
_PAGE = 1000
_Format = Literal["hledger", "beancount", "csv"]
_TEXT = {"schema": {"type": "string"}}
_Month = Annotated[
    str, Query(pattern=r"^(\d{4}-(0[1-9]|1[0-2]))?$", description="2026-11; empty: the current one")
]


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
    seq: Whole = Field(ge=1, le=2**53)
    reason: str = Field(min_length=1, max_length=2000)


def ledger_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """``/api/ledger``."""
    router = APIRouter(prefix="/api/ledger", tags=["ledger"])
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)
    OneWrite = Annotated[Once, Depends(once_of(services))]  # noqa: N806

    @router.post("/record", status_code=201, summary="Write down what was paid or received")
    async def post_record(caller: Owner, body: Movement, once: OneWrite) -> Entry:
        amount = parse_money(body.amount)
        fields = body.model_dump(exclude={"amount"}) | {"month": body.month or this_month(services)}
        seq = await once(
            lambda c: record_movement(
                c,
                amount=amount,
                by=caller.name,
                now=services.clock(),
                idempotency_key=once.call.name,
                **fields,
            )
        )
        return Entry(seq=seq)

    @router.post("/reversals", status_code=201, summary="Undo an entry with one that says why")
    async def post_reversal(caller: Owner, body: Reversal, once: OneWrite) -> Entry:
        seq = await once(
            lambda c: reverse(
                c,
                body.seq,
                reason=body.reason,
                by=caller.name,
                now=services.clock(),
                idempotency_key=once.call.name,
            )
        )
        return Entry(seq=seq)

    _add_reading(router, services, Owner)
    _add_files(router, services, Owner)
    return router


def _add_reading(router: APIRouter, services: Services, owner: Any) -> None:
    @router.get("/balance", summary="List what each account holds")
    async def get_balance(_: owner, wanted: Paging) -> Page[Balance]:
        return wanted.cut("balance", await services.read(balance), lambda each: (each.account, each.currency))

    @router.get("/report", summary="Report a month by budgets, accounts and projects")
    async def get_report(_: owner, month: _Month = "") -> MonthReport:
        return await services.read(lambda c: _report(c, services, month))

    @router.get("/entries", summary="List the ledger's entries, oldest first")
    async def get_entries(_: owner, wanted: Paging, month: _Month = "") -> Page[EntryLine]:
        after = wanted.after("entries", int) or (0,)
        found = await services.read(
            lambda c: list_entries(c, after=after[0], limit=wanted.limit + 1, month=month)
        )
        return wanted.page("entries", found, lambda entry: (entry.seq,))

    @router.get("/budgets", summary="List a month's budget lines")
    async def get_budgets(_: owner, wanted: Paging, month: _Month = "") -> Page[Budget]:
        lines = services.policy().budgets
        of = month or this_month(services)
        found = await services.read(lambda c: budget_uses(c, lines, of))
        budgets = [Budget(month=of, **each.model_dump()) for each in found]
        return wanted.cut("budgets", budgets, lambda each: (budgets.index(each),))

    @router.get("/verify", summary="Check every entry and hash")
    async def get_verify(_: owner, head: Annotated[str, Query(max_length=64)] = "") -> Verification:
        def verify(connection: Connection) -> Verification:
            one_view(connection)
            return verify_ledger(connection, head=head.strip().lower())

        return await services.read(verify)


def _add_files(router: APIRouter, services: Services, owner: Any) -> None:
    @router.get(
        "/report.csv",
        summary="Report a month as CSV",
        response_class=Response,
        responses={200: {"description": "A file", "content": {"text/csv": _TEXT}}},
    )
    async def get_report_csv(_: owner, month: _Month = "") -> Response:
        report = await services.read(lambda c: _report(c, services, month))
        return Response(
            report_csv(report), media_type="text/csv", headers=_as_file(f"ledger-{report.month}.csv")
        )

    @router.get(
        "/export",
        summary="Export all entries",
        response_class=Response,
        responses={
            200: {"description": "A file", "content": dict.fromkeys(sorted({*MEDIA_TYPES.values()}), _TEXT)}
        },
    )
    async def get_export(_: owner, format: _Format = "hledger") -> Response:  # noqa: A002 (the query's name)
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

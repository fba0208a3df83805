"""The page of the money: what a month spent against its budgets, what each project cost and earned, all entries."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from starlette.routing import BaseRoute

from master.approvals import Policy
from master.ledger.budgets import BudgetLine, check_month
from master.ledger.days import EntryFilter, find_entries, list_labels, spending_by_day
from master.ledger.report import month_report
from master.web.door import Door, Reading, Section
from master.web.spending import SpendingChart, bar_of, draw_spending
from tasks.errors import InvalidInput

#: Entries in one page.
PAGE = 50
_FIELDS = ("kind", "project", "category", "text")
MOST_TEXT = 200


def routes(door: Door) -> list[BaseRoute]:
    return [door.page("/ledger", "ledger.html", read_ledger)]


def read_ledger(reading: Reading) -> dict[str, Any]:
    """``/ledger?month=2026-11&kind=&project=&category=&text=&before=``; without a month, the current one in the
    owner's time zone."""
    policy, query = reading.policy, reading.query
    current = policy.month(reading.now)
    month = check_month(query.get("month", "") or current)
    asked = {name: query.get(name, "").strip() for name in _FIELDS}
    if len(asked["text"]) > MOST_TEXT:
        raise InvalidInput(f"the text has {len(asked['text'])} characters: {MOST_TEXT} are enough")
    wanted = EntryFilter(month=month, **asked)
    report = month_report(reading.connection, policy.budgets, month)
    entries = find_entries(
        reading.connection, wanted, limit=PAGE + 1, before=_number(query.get("before", ""))
    )
    kinds, projects, categories = list_labels(reading.connection)
    return {
        "month": month,
        "months": sorted({*report.months, current, month}, reverse=True),
        "report": report,
        "bars": [(line, bar_of(line)) for line in report.budgets],
        "charts": read_charts(reading, month),
        "entries": entries[:PAGE],
        "older": address_of(month, asked, entries[PAGE - 1].seq) if len(entries) > PAGE else "",
        "newest": address_of(month, asked) if query.get("before", "") else "",
        "asked": asked,
        "filtered": any(asked.values()),
        "kinds": kinds,
        "projects": projects,
        "categories": categories,
        "has_prices": policy.prices.set,
    }


def read_charts(reading: Reading, month: str) -> list[SpendingChart]:
    """One for each currency that the month spent."""
    policy = reading.policy
    spent = spending_by_day(reading.connection, month, lambda moment: _day_of(policy, moment))
    today = _day_of(policy, reading.now)
    return [
        draw_spending(each, month, today=today, limit_minor=limit_of(policy.budgets, each.currency))
        for each in spent
    ]


def limit_of(budgets: tuple[BudgetLine, ...], currency: str) -> int | None:
    """The month's limit of everything together, in minor units, where there is one."""
    return next(
        (line.month_minor for line in budgets if not line.category and line.currency == currency), None
    )


def _day_of(policy: Policy, moment: datetime) -> date:
    return policy.local(moment).date()


def _number(text: str) -> int | None:
    if text and not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidInput(f"before={text[:40]!r} is not the number of an entry")
    return int(text) if text else None


def address_of(month: str, asked: dict[str, str], before: int | None = None) -> str:
    """The page with these filters, from its newest entry or from that before a number."""
    fields = {"month": month, **{name: value for name, value in asked.items() if value}}
    if before is not None:
        fields["before"] = str(before)
    return f"/ledger?{urlencode(fields)}#entries"


SECTION = Section(path="/ledger", name="Money", routes=routes)

"""The page of the money: what it reads, and the bars it draws."""

from __future__ import annotations

from typing import Any

from starlette.routing import BaseRoute

from master.ledger.budgets import check_month
from master.ledger.report import BudgetUse, list_entries, month_report
from master.web.door import Door, Reading, Section

_ENTRIES = 100


def routes(door: Door) -> list[BaseRoute]:
    return [door.page("/ledger", "ledger.html", read_ledger)]


def read_ledger(reading: Reading) -> dict[str, Any]:
    """``/ledger?month=2026-11``; without one, the current month in the owner's time zone."""
    policy = reading.policy
    current = policy.month(reading.now)
    month = check_month(reading.query.get("month", "") or current)
    report = month_report(reading.connection, policy.budgets, month)
    return {
        "month": month,
        "months": sorted({*report.months, current, month}, reverse=True),
        "report": report,
        "bars": [(line, bar_of(line)) for line in report.budgets],
        "entries": list_entries(reading.connection, limit=_ENTRIES, month=month, newest=True),
        "most_entries": _ENTRIES,
        "has_prices": policy.prices.set,
    }


def bar_of(line: BudgetUse) -> dict[str, int]:
    """Where a bar of 1000 parts changes from spent to reserved, and from reserved to free. What was recorded
    beyond the limit fills it."""
    whole = max(line.limit_minor, line.spent_minor + line.held_minor, 1)
    spent = 1000 * max(0, line.spent_minor) // whole
    held = 1000 * max(0, line.held_minor) // whole
    return {"spent": spent, "held": min(held, 1000 - spent)}


SECTION = Section(path="/ledger", name="Money", routes=routes)

"""The page of the money: what it reads, and the bars it draws."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request

from master.ledger.budgets import check_month
from master.ledger.report import BudgetUse, list_entries, month_report
from master.web.reading import Reader

_ENTRIES = 100


def read_ledger(reader: Reader, connection: Connection, request: Request) -> dict[str, Any]:
    """``/ledger?month=2026-11``; without one, the current month in the owner's time zone."""
    policy = reader.policy()
    current = policy.month(reader.now)
    month = check_month(request.query_params.get("month", "") or current)
    report = month_report(connection, policy.budgets, month)
    return {
        **reader.frame(connection),
        "month": month,
        "months": sorted({*report.months, current, month}, reverse=True),
        "report": report,
        "bars": [(line, bar_of(line)) for line in report.budgets],
        "entries": list_entries(connection, limit=_ENTRIES, month=month, newest=True),
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

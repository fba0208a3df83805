"""What the door wants to know of the money."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, select

from master.approvals import Policy
from master.ledger.tables import ledger_budget_use
from tasks.record import Record


class Spending(Record):
    """What a month has of one category in one currency."""

    #: Empty: all categories of the currency together.
    category: str
    currency: str
    spent_minor: int
    #: Approved, and not paid yet.
    held_minor: int
    #: What the owner's budget line allows; None where there is no line.
    limit_minor: int | None


#: The month ("2026-11") -> one line for each budget line, and for each category that had expenses.
FindSpending = Callable[[Connection, str], Sequence[Spending]]


def no_spending(connection: Connection, month: str) -> Sequence[Spending]:
    """Of a door without a ledger."""
    return ()


def find_spending(policy: Callable[[], Policy]) -> FindSpending:
    """From the ledger, against the owner's budget lines; what has neither limit nor use is left out."""

    def find(connection: Connection, month: str) -> Sequence[Spending]:
        limits = {(line.category, line.currency): line.month_minor for line in policy().budgets}
        query = select(ledger_budget_use).where(ledger_budget_use.c.month == month)
        used = {(row.category, row.currency): row for row in connection.execute(query)}
        found = []
        for category, currency in sorted({*limits, *used}):
            row, limit = used.get((category, currency)), limits.get((category, currency))
            held, spent = (row.held_minor, row.spent_minor) if row is not None else (0, 0)
            if limit is None and (not category or not (held or spent)):
                continue
            found.append(
                Spending(
                    category=category,
                    currency=currency,
                    spent_minor=spent,
                    held_minor=held,
                    limit_minor=limit,
                )
            )
        return found

    return find

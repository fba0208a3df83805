"""The month's money in a few lines."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from master.ledger.budgets import BudgetLine, check_month
from master.ledger.report import budget_uses
from master.ledger.tables import ledger_budget_use
from tasks.record import Record


class MonthLine(Record):
    """What a month has spent and reserved of one category, or of all together."""

    category: str
    currency: str
    spent_minor: int
    held_minor: int
    #: None where the owner has set no limit.
    limit_minor: int | None = None


def month_at_a_glance(connection: Connection, budgets: Sequence[BudgetLine], month: str) -> list[MonthLine]:
    """The owner's limits with what is spent and reserved of each; of a currency without a limit on everything
    together, what that is."""
    lines = [
        MonthLine(
            category=use.category,
            currency=use.currency,
            spent_minor=use.spent_minor,
            held_minor=use.held_minor,
            limit_minor=use.limit_minor,
        )
        for use in budget_uses(connection, budgets, check_month(month))
    ]
    limited = {line.currency for line in lines if not line.category}
    everything = select(ledger_budget_use).where(
        ledger_budget_use.c.month == month, ledger_budget_use.c.category == ""
    )
    free = [
        MonthLine(category="", currency=row.currency, spent_minor=row.spent_minor, held_minor=row.held_minor)
        for row in connection.execute(everything.order_by(ledger_budget_use.c.currency))
        if row.currency not in limited and (row.spent_minor or row.held_minor)
    ]
    return [*lines, *free]

"""What the door wants to know of the money."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

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

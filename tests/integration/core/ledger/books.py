"""The ledger of one database, driven by hand in November 2026."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from master.ledger import BudgetLine, Money, has_room, record_movement, release, reserve, reverse, settle
from master.ledger.report import balance, budget_uses
from master.ledger.verify import Verification, one_view, verify_ledger
from master.store import Database

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MONTH = "2026-11"
LINES = (
    BudgetLine(category="hosting", currency="EUR", month_minor=5000),
    BudgetLine(category="", currency="EUR", month_minor=8000),
)


def eur(minor: int) -> Money:
    return Money(minor=minor, currency="EUR")


class Books:
    """The ledger of one database, each call a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def do(self, function: Any, *arguments: Any, **named: Any) -> Any:
        with self.database.write() as connection:
            return function(connection, *arguments, now=NOW, **named)

    def reserve(self, approval: str, minor: int, category: str = "hosting", **named: Any) -> None:
        given = {
            "run_id": "r",
            "project": "client:alba",
            "amount": eur(minor),
            "month": MONTH,
            "budgets": LINES,
            "note": "",
        }
        self.do(reserve, approval_id=approval, category=category, **{**given, **named})

    def settle(self, approval: str, minor: int, reference: str = "F-1", currency: str = "EUR") -> None:
        actual = Money(minor=minor, currency=currency)
        self.do(settle, approval, actual=actual, reference=reference, note="paid", by="ana")

    def release(self, approval: str) -> None:
        self.do(release, approval, reason="rejected")

    def record(self, kind: str, minor: int, **named: Any) -> int:
        given = {"category": "hosting", "project": "client:alba", "run_id": "", "note": "", "reference": ""}
        seq: int = self.do(record_movement, kind=kind, amount=eur(minor), by="ana", **{**given, **named})
        return seq

    def reverse(self, seq: int, **named: Any) -> int:
        undoing: int = self.do(reverse, seq, reason="a mistake", by="ana", **named)
        return undoing

    def read(self, function: Any, *arguments: Any, **named: Any) -> Any:
        with self.database.read() as connection:
            return function(connection, *arguments, **named)

    def room(self, minor: int, category: str = "hosting") -> bool:
        found: bool = self.read(has_room, category=category, amount=eur(minor), month=MONTH, budgets=LINES)
        return found

    def use(self) -> list[tuple[int, int]]:
        """Held and spent of the hosting line and of the overall one."""
        uses = self.read(budget_uses, LINES, MONTH)
        return [(use.held_minor, use.spent_minor) for use in uses]

    def balances(self) -> dict[str, int]:
        return {each.account: each.minor for each in self.read(balance) if each.minor}

    def verify(self, head: str = "") -> Verification:
        def check(connection: Connection) -> Verification:
            one_view(connection)
            return verify_ledger(connection, head=head)

        found: Verification = self.read(check)
        return found

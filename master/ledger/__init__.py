"""The money: integer minor units with a currency. (Shape only on this branch; the ledger replaces it.)"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from master.ledger.money import Money as Money
from master.ledger.money import parse_money as parse_money
from tasks.errors import Refused
from tasks.record import Record


class BudgetLine(Record):
    category: str
    currency: str
    month_minor: int
    automatic_up_to_minor: int = 0


class Prices(Record):
    currency: str = "EUR"


class BudgetExceeded(Refused):
    pass


def read_budgets(given: Any, place: str) -> tuple[BudgetLine, ...]:
    return ()


def read_prices(given: Any, place: str) -> Prices:
    return Prices()


def project_of(flow: str, params: Any) -> str:
    return flow


def reserve(
    connection: Connection,
    *,
    approval_id: str,
    run_id: str,
    project: str,
    category: str,
    amount: Money,
    month: str,
    budgets: Sequence[BudgetLine],
    note: str,
    now: datetime,
) -> None:
    return


def settle(
    connection: Connection,
    approval_id: str,
    *,
    actual: Money,
    reference: str,
    note: str,
    by: str,
    now: datetime,
) -> None:
    return


def release(connection: Connection, approval_id: str, *, reason: str, now: datetime) -> None:
    return

"""What reservations, budgets and costs must be, computed from the entries alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Table, select

from master.ledger.entries import EXPENSES, RESERVED, Entry, Kind, uses_of
from master.ledger.spending import ReservationState
from master.ledger.tables import ledger_budget_use, ledger_reservations, ledger_run_costs

_Row = dict[str, Any]


class Derived:
    """Grows entry by entry."""

    def __init__(self) -> None:
        #: By the values of the key; with each the number of the last entry that touched it.
        self._reservations: dict[tuple[Any, ...], tuple[int, _Row]] = {}
        self._use: dict[tuple[Any, ...], tuple[int, _Row]] = {}
        self._costs: dict[tuple[Any, ...], tuple[int, _Row]] = {}

    def add(self, seq: int, entry: Entry) -> None:
        for use in uses_of(entry):
            key = (use.category, use.month, use.currency)
            _, row = self._use.get(
                key, (0, {**dict(zip(("category", "month", "currency"), key, strict=True)), **_NOTHING})
            )
            held, spent = row["held_minor"] + use.held_minor, row["spent_minor"] + use.spent_minor
            self._use[key] = (seq, {**row, "held_minor": held, "spent_minor": spent})
        if entry.kind in (Kind.RESERVE, Kind.SETTLE, Kind.RELEASE):
            self._reservations[entry.approval_id,] = (seq, self._reservation(entry))
        if entry.kind is Kind.USAGE:
            self._costs[entry.run_id,] = (
                seq,
                {"run_id": entry.run_id, "project": entry.project, **json.loads(entry.details)},
            )

    def find_difference(self, connection: Connection) -> tuple[int, str] | None:
        """The first row that is not what the entries say: the entry that it follows from, and what is wrong."""
        tables: tuple[tuple[Table, dict[tuple[Any, ...], tuple[int, _Row]], Callable[[_Row], str]], ...] = (
            (ledger_reservations, self._reservations, lambda r: f"the reservation of {r['approval_id']!r}"),
            (ledger_budget_use, self._use, lambda r: f"the use of budget {r['category']!r} in {r['month']}"),
            (ledger_run_costs, self._costs, lambda r: f"the costs of run {r['run_id']!r}"),
        )
        for table, expected, name in tables:
            left = dict(expected)
            for found in connection.execute(select(table)):
                row = found._asdict()
                seq, wanted = left.pop(tuple(row[column.name] for column in table.primary_key), (0, {}))
                if row != wanted:
                    return (
                        seq,
                        f"{name(row)} is not what the entries say: {row} instead of {wanted or 'nothing'}",
                    )
            if left:
                seq, wanted = min(left.values(), key=lambda each: each[0])
                return seq, f"{name(wanted)} is missing: the entries say {wanted}"
        return None

    def _reservation(self, entry: Entry) -> _Row:
        if entry.kind is Kind.RESERVE:
            amount = next(posting for posting in entry.postings if posting.account.startswith(RESERVED))
            return {
                "approval_id": entry.approval_id,
                "state": ReservationState.HELD,
                "amount_minor": amount.minor,
                "actual_minor": 0,
                "currency": amount.currency,
                "category": entry.category,
                "month": entry.month,
                "project": entry.project,
                "run_id": entry.run_id,
            }
        _, held = self._reservations.get((entry.approval_id,), (0, {}))
        paid = sum(posting.minor for posting in entry.postings if posting.account.startswith(EXPENSES))
        state = ReservationState.SETTLED if entry.kind is Kind.SETTLE else ReservationState.RELEASED
        return {**held, "state": state, "actual_minor": paid}


_NOTHING: _Row = {"held_minor": 0, "spent_minor": 0}

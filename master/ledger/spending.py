"""Spending in two phases: an approval reserves; doing it settles, not doing it releases."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from master.ledger.budgets import BudgetLine, check_category, check_month, limits_for
from master.ledger.entries import FREE, MONEY, Entry, Kind, expenses, move, reserved
from master.ledger.journal import append_entry, lock_head, read_use
from master.ledger.money import Money, format_money
from master.ledger.tables import ledger_entries, ledger_reservations
from tasks.errors import InvalidInput, MoveNotAllowed, Refused


class ReservationState(enum.StrEnum):
    HELD = "held"
    #: Paid: the amount, or less.
    SETTLED = "settled"
    #: Given back: rejected, expired or abandoned.
    RELEASED = "released"


MOVES: dict[ReservationState, frozenset[ReservationState]] = {
    ReservationState.HELD: frozenset({ReservationState.SETTLED, ReservationState.RELEASED}),
    ReservationState.SETTLED: frozenset(),
    ReservationState.RELEASED: frozenset(),
}


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
    """Set the amount aside for an approved request. Nothing needs to be set aside for 0.

    All budget lines that apply have room, or nothing is changed: ``BudgetExceeded`` says which has none, also
    where the caller goes on with its transaction. An equal second call changes nothing; ``Refused`` when the
    request holds or held another amount.
    """
    check_category(category)
    check_month(month)
    if amount.minor < 0:
        raise InvalidInput(f"{amount} cannot be reserved for request {approval_id}: an amount is 0 or more")
    if amount.minor == 0:
        return
    limits = limits_for(budgets, category, amount)
    with connection.begin_nested():
        lock_head(connection)
        held = _find(connection, approval_id)
        if held is not None:
            _require_same(held, amount, category, month)
            return
        holding = Entry(
            kind=Kind.RESERVE,
            at=now,
            month=month,
            approval_id=approval_id,
            run_id=run_id,
            project=project,
            category=category,
            note=note,
            postings=move(reserved(category), FREE, amount.minor, amount.currency),
        )
        _hold(connection, holding, amount)
        append_entry(connection, holding, limits)


def has_room(
    connection: Connection, *, category: str, amount: Money, month: str, budgets: Sequence[BudgetLine]
) -> bool:
    """Whether a reservation of this amount would fit now. Only ``reserve`` decides."""
    try:
        limits = limits_for(budgets, category, amount)
    except Refused:
        return False
    return all(
        sum(read_use(connection, line, month, amount.currency)) + amount.minor <= limit
        for line, limit in limits.items()
    )


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
    """What was reserved has been paid: post the actual amount, free the rest.

    An equal second call changes nothing. ``Refused``: nothing is reserved, it was resolved otherwise, the
    amount is more than what is reserved, or in another currency.
    """
    if actual.minor < 0:
        raise InvalidInput(
            f"{actual} cannot have been paid for request {approval_id}: an amount is 0 or more"
        )
    lock_head(connection)
    row = _find(connection, approval_id)
    if row is None:
        raise Refused(
            f"nothing is reserved for request {approval_id}: only an approved request with a cost can be settled; "
            f"record other expenses with 'd8 ledger record'"
        )
    if _is_settled_so(connection, row, actual, reference):
        return
    _resolve(connection, row, ReservationState.SETTLED, actual.minor)
    paid = move(expenses(row.category), MONEY, actual.minor, row.currency)
    entry = _following(row, Kind.SETTLE, now, note)
    entry = entry.model_copy(update={"postings": entry.postings + paid, "reference": reference, "by": by})
    append_entry(connection, entry)


def release(connection: Connection, approval_id: str, *, reason: str, now: datetime) -> None:
    """Give back what is reserved: rejected, expired or abandoned. Nothing happens when nothing is."""
    lock_head(connection)
    row = _find(connection, approval_id)
    if row is None or row.state != ReservationState.HELD:
        return
    _resolve(connection, row, ReservationState.RELEASED, 0)
    append_entry(connection, _following(row, Kind.RELEASE, now, reason))


def _find(connection: Connection, approval_id: str) -> Row[Any] | None:
    return connection.execute(
        select(ledger_reservations).where(ledger_reservations.c.approval_id == approval_id)
    ).first()


def _hold(connection: Connection, holding: Entry, amount: Money) -> None:
    connection.execute(
        insert(ledger_reservations).values(
            approval_id=holding.approval_id,
            state=ReservationState.HELD,
            amount_minor=amount.minor,
            actual_minor=0,
            currency=amount.currency,
            category=holding.category,
            month=holding.month,
            project=holding.project,
            run_id=holding.run_id,
        )
    )


def _require_same(held: Row[Any], amount: Money, category: str, month: str) -> None:
    before = (held.amount_minor, held.currency, held.category, held.month)
    asked = (amount.minor, amount.currency, category, month)
    if held.state != ReservationState.HELD or before != asked:
        raise Refused(
            f"request {held.approval_id} has a reservation of {format_money(held.amount_minor, held.currency)} for "
            f"{held.month} already, which is {held.state}: {amount} for {month} takes a new request"
        )


def _is_settled_so(connection: Connection, row: Row[Any], actual: Money, reference: str) -> bool:
    """Whether this very payment is posted already. ``Refused`` when it cannot be."""
    held = format_money(row.amount_minor, row.currency)
    if actual.currency != row.currency:
        raise Refused(
            f"request {row.approval_id} reserved {held}, so it cannot be settled with {actual}: give what was paid in "
            f"{row.currency}"
        )
    if row.state == ReservationState.SETTLED and row.actual_minor == actual.minor:
        if _reference_of(connection, row.approval_id) == reference:
            return True
        raise Refused(
            f"request {row.approval_id} was settled with another reference: reverse that entry to correct it"
        )
    if actual.minor > row.amount_minor:
        raise Refused(
            f"request {row.approval_id} reserved {held} and cannot be settled with {actual}: ask for an approval "
            f"of the difference, or pay less"
        )
    return False


def _resolve(connection: Connection, row: Row[Any], to: ReservationState, actual_minor: int) -> None:
    """Exactly once: the conditional update decides."""
    table = ledger_reservations
    allowed = [state for state, moves in MOVES.items() if to in moves]
    moved = connection.execute(
        update(table)
        .where(table.c.approval_id == row.approval_id, table.c.state.in_(allowed))
        .values(state=to, actual_minor=actual_minor)
        .returning(table.c.approval_id)
    ).first()
    if moved is None:
        raise MoveNotAllowed(
            f"the reservation of request {row.approval_id} is {row.state} and cannot become {to}: it is resolved once. "
            f"What was paid by mistake is reversed with 'd8 ledger reverse'"
        )


def _following(row: Row[Any], kind: Kind, now: datetime, note: str) -> Entry:
    """The entry that undoes the reservation, in its own month."""
    return Entry(
        kind=kind,
        at=now,
        month=row.month,
        approval_id=row.approval_id,
        run_id=row.run_id,
        project=row.project,
        category=row.category,
        note=note,
        postings=move(FREE, reserved(row.category), row.amount_minor, row.currency),
    )


def _reference_of(connection: Connection, approval_id: str) -> str:
    table = ledger_entries
    query = select(table.c.reference).where(table.c.approval_id == approval_id, table.c.kind == Kind.SETTLE)
    return str(connection.execute(query).scalar())

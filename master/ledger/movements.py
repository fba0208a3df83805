"""Money that moved outside of approvals, and corrections: an entry is never changed, it is reversed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import Connection, select

from master.ledger.budgets import check_category, check_month
from master.ledger.entries import MONEY, Entry, Kind, expenses, income, move, undo
from master.ledger.journal import append_entry, get_entry, lock_head
from master.ledger.money import Money
from master.ledger.tables import ledger_entries
from tasks.errors import InvalidInput, Refused

#: What undoing any other kind would mean, and what to do instead.
_NOT_REVERSED = {
    Kind.RESERVE: "reject or abandon its request, which releases it",
    Kind.RELEASE: "ask for a new approval",
    Kind.USAGE: "correct the prices in policy.toml; what is costed from then on uses them",
    Kind.REVERSAL: "record the movement again with 'd8 ledger record'",
}


def record_movement(
    connection: Connection,
    *,
    kind: Literal["expense", "income"],
    amount: Money,
    category: str,
    project: str,
    run_id: str,
    note: str,
    reference: str,
    by: str,
    now: datetime,
    idempotency_key: str = "",
    month: str = "",
) -> int:
    """Write down what was paid or received; returns the entry's number.

    It has happened, so no budget refuses it; an expense counts in the budgets of its month (default: that of
    ``now`` in UTC). The same key again returns the entry that it made the first time, or is ``Refused`` when
    that one is of another kind or amount.
    """
    check_category(category)
    month = check_month(month or f"{now.astimezone(UTC):%Y-%m}")
    if amount.minor <= 0:
        raise InvalidInput(
            f"{amount} cannot be recorded: give more than 0, and the kind says which way it went"
        )
    if kind == "expense":
        postings = move(expenses(category), MONEY, amount.minor, amount.currency)
    else:
        postings = move(MONEY, income(category), amount.minor, amount.currency)
    entry = Entry(
        kind=Kind(kind),
        at=now,
        month=month,
        run_id=run_id,
        project=project,
        category=category,
        note=note,
        reference=reference,
        by=by,
        idempotency_key=idempotency_key or None,
        postings=postings,
    )
    lock_head(connection)
    return _made_before(connection, entry) or append_entry(connection, entry)


def reverse(
    connection: Connection, seq: int, *, reason: str, by: str, now: datetime, idempotency_key: str = ""
) -> int:
    """Undo an expense, an income or a settled payment, in the month in which it counts; returns the number of
    the entry that undoes it. ``Refused``: it is undone already, or is of a kind that is undone otherwise."""
    if not reason.strip():
        raise InvalidInput(f"reversing entry {seq} needs a reason: 'd8 ledger reverse {seq} \"why\"'")
    lock_head(connection)
    entry = get_entry(connection, seq)
    if entry.kind in _NOT_REVERSED:
        raise Refused(
            f"ledger entry {seq} is of kind {entry.kind} and is not reversed: {_NOT_REVERSED[entry.kind]}"
        )
    table = ledger_entries
    done = connection.execute(
        select(table.c.seq, table.c.idempotency_key).where(table.c.reverses == seq)
    ).first()
    if done is not None:
        if idempotency_key and done.idempotency_key == idempotency_key:
            return int(done.seq)
        raise Refused(
            f"ledger entry {seq} was reversed by entry {done.seq} already: an entry is reversed once"
        )
    undoing = Entry(
        kind=Kind.REVERSAL,
        at=now,
        month=entry.month,
        approval_id=entry.approval_id,
        run_id=entry.run_id,
        project=entry.project,
        category=entry.category,
        note=reason,
        reference=entry.reference,
        by=by,
        reverses=seq,
        idempotency_key=idempotency_key or None,
        # What was set aside for it was freed when it was paid, and stays free.
        postings=undo(posting for posting in entry.postings if not posting.account.startswith("budget:")),
    )
    if not undoing.postings:
        raise Refused(f"ledger entry {seq} moved no money: there is nothing to reverse")
    return _made_before(connection, undoing) or append_entry(connection, undoing)


def _made_before(connection: Connection, entry: Entry) -> int:
    """The number of the entry with this key, or 0."""
    if entry.idempotency_key is None:
        return 0
    table = ledger_entries
    seq = connection.execute(
        select(table.c.seq).where(table.c.idempotency_key == entry.idempotency_key)
    ).scalar()
    if seq is None:
        return 0
    before = get_entry(connection, seq)
    if (before.kind, before.postings, before.reverses) != (entry.kind, entry.postings, entry.reverses):
        raise Refused(
            f"the idempotency key {entry.idempotency_key!r} was used for ledger entry {seq}, which is another one: "
            f"use a new key for a new movement"
        )
    return int(seq)

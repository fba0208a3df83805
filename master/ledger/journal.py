"""Entries are added here, and nowhere else: the head's lock puts them one after the other, on one chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, Table, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from master.ledger.budgets import BudgetExceeded
from master.ledger.entries import GENESIS, Entry, Kind, Posting, Use, check_balanced, hash_entry, uses_of
from master.ledger.money import format_money
from master.ledger.tables import ledger_budget_use, ledger_entries, ledger_head, ledger_postings
from tasks.errors import NotFound

_HEAD = 1


def lock_head(connection: Connection) -> tuple[int, str]:
    """Number and hash of the newest entry; nobody else adds one until this transaction has ended.

    What decides by what it reads of the ledger locks first. On Postgres this is a row's lock, on SQLite the
    write transaction itself.
    """
    query = select(ledger_head.c.seq, ledger_head.c.hash).where(ledger_head.c.id == _HEAD).with_for_update()
    head = connection.execute(query).first()
    if head is None:
        insert_if_missing(connection, ledger_head, id=_HEAD, seq=0, hash=GENESIS)
        head = connection.execute(query).one()
    return head.seq, head.hash


def append_entry(connection: Connection, entry: Entry, limits: Mapping[str, int] | None = None) -> int:
    """Add the entry and count it in the budgets; returns its number.

    ``limits``: category -> the most that its month may have held and spent after this. ``BudgetExceeded``
    when it does not fit; the caller's savepoint or transaction then takes back what was counted.
    """
    check_balanced(entry)
    seq, previous_hash = lock_head(connection)
    for use in uses_of(entry):
        _count(connection, use, (limits or {}).get(use.category))
    seq += 1
    digest = hash_entry(seq, entry, previous_hash)
    values = entry.model_dump(exclude={"postings"})
    connection.execute(
        insert(ledger_entries).values(seq=seq, previous_hash=previous_hash, hash=digest, **values)
    )
    if entry.postings:
        connection.execute(
            insert(ledger_postings),
            [
                {"seq": seq, "number": number, **posting.model_dump()}
                for number, posting in enumerate(entry.postings)
            ],
        )
    connection.execute(update(ledger_head).where(ledger_head.c.id == _HEAD).values(seq=seq, hash=digest))
    return seq


def insert_if_missing(connection: Connection, table: Table, **values: Any) -> None:
    """Insert the row unless its key is there."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(table).values(**values).on_conflict_do_nothing())


def get_entry(connection: Connection, seq: int) -> Entry:
    """The entry with its postings. ``NotFound`` says how to list them."""
    row = connection.execute(select(ledger_entries).where(ledger_entries.c.seq == seq)).first()
    if row is None:
        raise NotFound(f"there is no ledger entry {seq}: 'd8 ledger report' and the page /ledger list them")
    postings = connection.execute(
        select(ledger_postings).where(ledger_postings.c.seq == seq).order_by(ledger_postings.c.number)
    )
    return to_entry(row, [to_posting(posting) for posting in postings])


def to_posting(row: Row[Any]) -> Posting:
    return Posting(account=row.account, minor=row.minor, currency=row.currency)


def to_entry(row: Row[Any], postings: list[Posting]) -> Entry:
    """A stored entry as a record; ``ValueError`` when it is none (its kind is unknown, a value is missing)."""
    fields = {name: value for name, value in row._asdict().items() if name in Entry.model_fields}
    return Entry.model_validate({**fields, "kind": Kind(row.kind), "postings": tuple(postings)})


def _count(connection: Connection, use: Use, limit: int | None) -> None:
    """One conditional update decides whether there is room."""
    table = ledger_budget_use
    key = {"category": use.category, "month": use.month, "currency": use.currency}
    insert_if_missing(connection, table, **key, held_minor=0, spent_minor=0)
    chosen = [table.c[name] == value for name, value in key.items()]
    held, spent = table.c.held_minor + use.held_minor, table.c.spent_minor + use.spent_minor
    if limit is not None:
        chosen.append(held + spent <= limit)
    counted = connection.execute(
        update(table).where(*chosen).values(held_minor=held, spent_minor=spent).returning(table.c.held_minor)
    ).first()
    if counted is None:
        assert limit is not None, "without a limit the row that was just made is always updated"
        raise _exceeded(connection, use, limit)


def _exceeded(connection: Connection, use: Use, limit: int) -> BudgetExceeded:
    held, spent = read_use(connection, use.category, use.month, use.currency)
    asked = use.held_minor + use.spent_minor

    def show(minor: int) -> str:
        return format_money(minor, use.currency)

    line = f"for {use.category!r}" if use.category else "for everything together"
    return BudgetExceeded(
        f"the budget {line} in {use.month} has no room for {show(asked)}: its limit is {show(limit)}, {show(spent)} "
        f"are spent and {show(held)} reserved, so {show(max(0, limit - held - spent))} are left. Raise the line in "
        f"policy.toml, reject what is reserved and not needed, or ask again next month"
    )


def read_use(connection: Connection, category: str, month: str, currency: str) -> tuple[int, int]:
    """What is held and spent, in minor units."""
    table = ledger_budget_use
    row = connection.execute(
        select(table.c.held_minor, table.c.spent_minor).where(
            table.c.category == category, table.c.month == month, table.c.currency == currency
        )
    ).first()
    return (row.held_minor, row.spent_minor) if row is not None else (0, 0)

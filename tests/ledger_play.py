"""Random work on a ledger from several processes at once, a replay of what came of it, and tampering."""

from __future__ import annotations

import dataclasses
import multiprocessing
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Column, Connection, Float, Integer, Row, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from master.ledger import BudgetLine, Money, record_movement, release, reserve, reverse, settle
from master.ledger.report import list_entries
from master.ledger.tables import (
    ledger_budget_use,
    ledger_entries,
    ledger_head,
    ledger_postings,
    ledger_reservations,
    ledger_run_costs,
)
from master.ledger.verify import verify_ledger
from master.store import Database
from master.store.types import UtcDateTime
from tasks.errors import D8Error

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CATEGORIES = ("hosting", "ads", "domains")
TABLES = (
    ledger_entries,
    ledger_postings,
    ledger_head,
    ledger_reservations,
    ledger_budget_use,
    ledger_run_costs,
)
#: Tight enough that many are refused.
LINES = (
    BudgetLine(category="hosting", currency="EUR", month_minor=20_000),
    BudgetLine(category="ads", currency="EUR", month_minor=30_000),
    BudgetLine(category="", currency="EUR", month_minor=60_000),
    BudgetLine(category="ads", currency="CLP", month_minor=90_000),
)


def play(url: str, seed: int, operations: int) -> Counter[str]:
    """So many random operations in transactions of one to sixteen; what became of them, by kind."""
    database, chance, done = Database(url), random.Random(seed), Counter[str]()
    while (left := operations - done.total()) > 0:
        with database.write(durable=False) as connection:
            for _ in range(min(left, chance.randint(1, 16))):
                done[_once(connection, chance, seed, done.total())] += 1
    database.close()
    return done


def play_together(url: str, *, processes: int, operations: int, seed: int = 1) -> Counter[str]:
    """The same from several processes at once; ``operations`` are those of all together."""
    share = [(url, seed + number, operations // processes) for number in range(processes)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return sum(pool.starmap(play, share), Counter[str]())


def _once(connection: Connection, chance: random.Random, seed: int, at: int) -> str:
    """``at``: how many came before. Requests and months move on with it, the same in all processes."""
    kind = chance.choices(
        ("reserve", "settle", "release", "expense", "income", "reverse"), (40, 18, 18, 8, 8, 8)
    )[0]
    approval = f"a{at // 2 + chance.randrange(12)}"
    month = month_of(at // 1000 + chance.randrange(2))
    currency = chance.choice(("EUR", "EUR", "CLP"))
    try:
        if kind == "reserve":
            reserve(
                connection,
                approval_id=approval,
                run_id="run",
                project=f"client:{chance.randrange(5)}",
                category="ads" if currency == "CLP" else chance.choice(CATEGORIES),
                amount=Money(minor=chance.randint(1, 4000), currency=currency),
                month=month,
                budgets=LINES,
                note=f"by {seed}",
                now=NOW,
            )
        elif kind == "settle":
            actual = Money(minor=chance.randint(0, 2000), currency=currency)
            settle(connection, approval, actual=actual, reference="F", note="", by="ana", now=NOW)
        elif kind == "release":
            release(connection, approval, reason="no", now=NOW)
        elif kind == "reverse":
            reverse(connection, chance.randint(max(1, at // 2), at + 1), reason="wrong", by="ana", now=NOW)
        else:
            _record(connection, chance, kind, month)
    except D8Error as error:
        return f"{kind} refused: {type(error).__name__}"
    return kind


def month_of(number: int) -> str:
    return f"{2026 + number // 12}-{number % 12 + 1:02}"


def _record(connection: Connection, chance: random.Random, kind: Any, month: str) -> None:
    """In a currency without budget lines: what has happened is recorded beyond any limit."""
    wanted: Literal["expense", "income"] = kind
    record_movement(
        connection,
        kind=wanted,
        amount=Money(minor=chance.randint(1, 9000), currency="USD"),
        category=chance.choice(CATEGORIES),
        project="",
        run_id="",
        note="",
        reference="",
        by="ana",
        now=NOW,
        month=month,
    )


@dataclasses.dataclass
class Replay:
    """What the entries say when they are gone through one by one, without the ledger's own code."""

    entries: int = 0
    sum_errors: int = 0
    budgets_exceeded: int = 0
    #: Most that was ever held and spent of a line in a month, in percent of its limit.
    fullest_pct: float = 0.0


def replay(connection: Connection) -> Replay:
    found, used = Replay(), defaultdict[tuple[str, str, str], int](int)
    after = 0
    while page := list_entries(connection, after=after, limit=1000):
        after = page[-1].seq
        for entry in page:
            found.entries += 1
            sums: dict[str, int] = defaultdict(int)
            for posting in entry.postings:
                sums[posting.currency] += posting.minor
                if posting.account.startswith(("budget:reserved:", "expenses:")):
                    used[entry.category, entry.month, posting.currency] += posting.minor
                    used["", entry.month, posting.currency] += posting.minor
            found.sum_errors += any(sums.values())
            for line in LINES:
                share = used[line.category, entry.month, line.currency] / line.month_minor
                found.budgets_exceeded += share > 1
                found.fullest_pct = max(found.fullest_pct, round(100 * share, 1))
    return found


class _Undo(Exception):
    """The tampering is taken back."""


def tamperings(database: Database, chance: random.Random, times: int) -> Iterator[tuple[str, bool]]:
    """Change something at random behind the ledger's back, see whether it is found, and undo it: what was done
    and whether it was found. What the database itself does not let happen is not counted."""
    acts = (*[_change] * 6, _delete, _insert, _exchange)
    while times:
        try:
            with database.write(durable=False) as connection:
                if connection.dialect.name == "sqlite":
                    connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
                done = chance.choice(acts)(connection, chance)
                if done:
                    times -= 1
                    yield done, not verify_ledger(connection).sound
                raise _Undo
        except (_Undo, IntegrityError):
            continue


def _pick(connection: Connection, chance: random.Random, most: int = 1) -> tuple[Table, list[Row[Any]]]:
    table = chance.choice(TABLES)
    rows = connection.execute(select(table)).all()
    return table, chance.sample(list(rows), min(most, len(rows)))


def _where(table: Table, row: Row[Any]) -> list[Any]:
    return [column == row._mapping[column.name] for column in table.primary_key]


def _change(connection: Connection, chance: random.Random) -> str:
    table, rows = _pick(connection, chance)
    return change(connection, chance, table, chance.choice(list(table.c)), rows[0]) if rows else ""


def change(
    connection: Connection, chance: random.Random, table: Table, column: Column[Any], row: Row[Any]
) -> str:
    """Another value in one column of one row."""
    old = row._mapping[column.name]
    new = _other(chance, column, old)
    connection.execute(update(table).where(*_where(table, row)).values({column.name: new}))
    return f"{table.name}.{column.name}: {old!r} -> {new!r}"


def _other(chance: random.Random, column: Column[Any], old: Any) -> Any:
    if old is not None and column.nullable and chance.random() < 0.3:
        return None
    if isinstance(column.type, UtcDateTime):
        return old.replace(microsecond=(old.microsecond + 1) % 1_000_000)
    if isinstance(column.type, Float):
        return old + 0.001
    if isinstance(column.type, Integer):
        step: int = chance.choice((1, -1, 100, 10**6))
        return (old or 0) + step
    text = old or ""
    return (
        chance.choice([f"{text}x", text[:-1] if text else "y", text.swapcase() if text.lower() else "z"])
        if (text.swapcase() != text)
        else f"{text}x"
    )


def _delete(connection: Connection, chance: random.Random) -> str:
    table, rows = _pick(connection, chance)
    if not rows:
        return ""
    connection.execute(delete(table).where(*_where(table, rows[0])))
    return f"a row of {table.name} deleted"


def _insert(connection: Connection, chance: random.Random) -> str:
    """A copy of a row under a key that is free."""
    table, rows = _pick(connection, chance)
    if not rows:
        return ""
    values = {
        name: value for name, value in rows[0]._mapping.items() if name not in ("idempotency_key", "reverses")
    }
    key = chance.choice(list(table.primary_key))
    values[key.name] = (
        10**7 + chance.randrange(10**6) if isinstance(key.type, Integer) else f"{values[key.name]}-2"
    )
    connection.execute(insert(table).values(**values))
    return f"a row of {table.name} inserted"


def _exchange(connection: Connection, chance: random.Random) -> str:
    """Two rows change places: all of what they say beside their keys."""
    table, rows = _pick(connection, chance, 2)
    keys = {column.name for column in table.primary_key} | {"idempotency_key", "reverses"}
    contents = [{n: v for n, v in row._mapping.items() if n not in keys} for row in rows]
    if len(rows) < 2 or contents[0] == contents[1]:
        return ""
    for row, other in zip(rows, contents[::-1], strict=True):
        connection.execute(update(table).where(*_where(table, row)).values(**other))
    return f"two rows of {table.name} exchanged"

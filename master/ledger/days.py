"""What was paid on which day, by category; and entries found by their words, page by page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime

from sqlalchemy import Connection, or_, select

from master.ledger.budgets import check_month
from master.ledger.entries import EXPENSES, Kind
from master.ledger.report import EntryLine, lines_of
from master.ledger.tables import ledger_entries, ledger_postings
from tasks.record import Record


class EntryFilter(Record):
    """Which entries are looked for; what is empty does not restrict."""

    month: str = ""
    kind: str = ""
    project: str = ""
    category: str = ""
    #: Part of the note, the reference, who it was by, or the run's or request's id.
    text: str = ""
    approval_id: str = ""


class Spending(Record):
    """Of one currency: day -> category -> minor units that were paid."""

    currency: str
    days: dict[date, dict[str, int]]

    @property
    def categories(self) -> list[str]:
        """The one with the largest sum first."""
        sums: dict[str, int] = defaultdict(int)
        for of_day in self.days.values():
            for category, minor in of_day.items():
                sums[category] += minor
        return sorted(sums, key=lambda category: (-sums[category], category))

    @property
    def total_minor(self) -> int:
        return sum(minor for of_day in self.days.values() for minor in of_day.values())


def spending_by_day(connection: Connection, month: str, day_of: Callable[[datetime], date]) -> list[Spending]:
    """What the month's entries moved to expenses, by day, category and currency; the currency with the most days
    first. ``day_of``: the owner's day of a moment. What was undone counts against the day on which it was undone. As
    in budgets, energy and tokens of the owner's own machines do not count."""
    entries, postings = ledger_entries, ledger_postings
    query = (
        select(entries.c.at, postings.c.account, postings.c.minor, postings.c.currency)
        .join(postings, postings.c.seq == entries.c.seq)
        .where(
            entries.c.month == check_month(month),
            entries.c.kind != Kind.USAGE,
            postings.c.account.startswith(EXPENSES),
        )
    )
    found: dict[str, dict[date, dict[str, int]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    for row in connection.execute(query):
        found[row.currency][day_of(row.at)][row.account.removeprefix(EXPENSES)] += row.minor
    return [
        Spending(currency=currency, days={day: dict(of_day) for day, of_day in days.items()})
        for currency, days in sorted(found.items(), key=lambda each: (-len(each[1]), each[0]))
    ]


def find_entries(
    connection: Connection, wanted: EntryFilter, *, limit: int, before: int | None = None
) -> list[EntryLine]:
    """Newest first, those with numbers below ``before``."""
    table = ledger_entries
    query = select(table).order_by(table.c.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.seq < before)
    if wanted.month:
        query = query.where(table.c.month == check_month(wanted.month))
    for name in ("kind", "project", "category", "approval_id"):
        if value := getattr(wanted, name):
            query = query.where(table.c[name] == value)
    if wanted.text:
        places = (table.c.note, table.c.reference, table.c.by, table.c.run_id, table.c.approval_id)
        query = query.where(or_(*(place.icontains(wanted.text, autoescape=True) for place in places)))
    return lines_of(connection, connection.execute(query).all())


def list_labels(connection: Connection) -> tuple[list[str], list[str], list[str]]:
    """Kinds that there can be, projects and categories that there are."""
    columns = (ledger_entries.c.project, ledger_entries.c.category)
    projects, categories = (
        list(
            connection.execute(
                select(column).distinct().where(column != "").order_by(column).limit(500)
            ).scalars()
        )
        for column in columns
    )
    return list(Kind), projects, categories

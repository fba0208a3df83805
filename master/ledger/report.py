"""The ledger for people: balances, a month with its budgets and projects, entries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, or_, select

from master.ledger.budgets import BudgetLine, check_month
from master.ledger.entries import EXPENSES, GENESIS, INCOME, Kind
from master.ledger.journal import read_use
from master.ledger.returns import MonthFlow, Returns, returns_of
from master.ledger.tables import ledger_entries, ledger_head, ledger_postings, ledger_run_costs
from tasks.record import Record


class Balance(Record):
    account: str
    currency: str
    minor: int


class BudgetUse(Record):
    """A budget line and what its month has of it."""

    category: str
    currency: str
    limit_minor: int
    held_minor: int
    spent_minor: int
    left_minor: int


class ProjectMonth(Record):
    """A project in one currency: the month, and all of its time as an investment."""

    project: str
    currency: str
    income_minor: int
    #: What was paid.
    expense_minor: int
    #: Energy and tokens.
    usage_minor: int
    #: income - expense - usage
    margin_minor: int
    all_time: Returns


class UsedQuantities(Record):
    """What machines did for a project, in all of its time; the cost in exact millionths of a unit."""

    project: str
    currency: str
    runs: int
    gpu_s: float
    prompt_tokens: int
    generated_tokens: int
    micros: int


class MonthReport(Record):
    month: str
    budgets: tuple[BudgetUse, ...]
    #: Expenses and income by account, as they moved in the month.
    accounts: tuple[Balance, ...]
    projects: tuple[ProjectMonth, ...]
    quantities: tuple[UsedQuantities, ...]
    #: Months with entries, newest first.
    months: tuple[str, ...]
    #: The newest entry: note its hash elsewhere, and 'd8 ledger verify --head HASH' shows that nothing before it
    #: was rewritten.
    head_seq: int
    head: str


class EntryLine(Record):
    """An entry with its postings, for lists."""

    seq: int
    at: datetime
    kind: str
    month: str
    approval_id: str
    run_id: str
    project: str
    category: str
    note: str
    reference: str
    by: str
    details: str
    reverses: int | None
    hash: str
    postings: tuple[Balance, ...]


def read_head(connection: Connection) -> tuple[int, str]:
    """Number and hash of the newest entry."""
    row = connection.execute(select(ledger_head.c.seq, ledger_head.c.hash)).first()
    return (row.seq, row.hash) if row is not None else (0, GENESIS)


def balance(connection: Connection) -> list[Balance]:
    """Every account's sum by currency."""
    return _balances(connection, _sums())


def budget_uses(connection: Connection, budgets: Sequence[BudgetLine], month: str) -> list[BudgetUse]:
    """What the month has of each line."""
    check_month(month)
    found = []
    for line in budgets:
        held, spent = read_use(connection, line.category, month, line.currency)
        found.append(
            BudgetUse(
                category=line.category,
                currency=line.currency,
                limit_minor=line.month_minor,
                held_minor=held,
                spent_minor=spent,
                left_minor=max(0, line.month_minor - held - spent),
            )
        )
    return found


def month_report(connection: Connection, budgets: Sequence[BudgetLine], month: str) -> MonthReport:
    """The month as page and CSV show it."""
    check_month(month)
    flows = or_(ledger_postings.c.account.startswith(EXPENSES), ledger_postings.c.account.startswith(INCOME))
    accounts = _sums().where(ledger_entries.c.month == month, flows)
    seq, head = read_head(connection)
    months = select(ledger_entries.c.month).distinct().order_by(ledger_entries.c.month.desc())
    return MonthReport(
        month=month,
        budgets=tuple(budget_uses(connection, budgets, month)),
        accounts=tuple(_balances(connection, accounts)),
        projects=tuple(_projects(connection, month)),
        quantities=tuple(_quantities(connection)),
        months=tuple(connection.execute(months).scalars()),
        head_seq=seq,
        head=head,
    )


def list_entries(
    connection: Connection, *, after: int = 0, limit: int = 100, month: str = "", newest: bool = False
) -> list[EntryLine]:
    """Entries with numbers above ``after``, oldest first; or the newest ones, newest first."""
    query = select(ledger_entries).where(ledger_entries.c.seq > after).limit(limit)
    query = query.order_by(ledger_entries.c.seq.desc() if newest else ledger_entries.c.seq)
    if month:
        query = query.where(ledger_entries.c.month == check_month(month))
    return lines_of(connection, connection.execute(query).all())


def lines_of(connection: Connection, rows: Sequence[Row[Any]]) -> list[EntryLine]:
    """Rows of ``ledger_entries`` with their postings, in their order."""
    of_entry: dict[int, list[Balance]] = defaultdict(list)
    table = ledger_postings
    chosen = table.c.seq.in_([row.seq for row in rows])
    postings = select(table).where(chosen).order_by(table.c.seq, table.c.number)
    for posting in connection.execute(postings):
        of_entry[posting.seq].append(
            Balance(account=posting.account, currency=posting.currency, minor=posting.minor)
        )
    return [
        EntryLine(
            postings=tuple(of_entry[row.seq]),
            **{name: value for name, value in row._asdict().items() if name in EntryLine.model_fields},
        )
        for row in rows
    ]


def _sums() -> Select[tuple[str, str, int]]:
    table = ledger_postings
    return (
        select(table.c.account, table.c.currency, func.sum(table.c.minor).label("minor"))
        .join(ledger_entries, ledger_entries.c.seq == table.c.seq)
        .group_by(table.c.account, table.c.currency)
        .order_by(table.c.account, table.c.currency)
    )


def _balances(connection: Connection, query: Select[tuple[str, str, int]]) -> list[Balance]:
    # Postgres sums integers to a decimal.
    return [
        Balance(account=row.account, currency=row.currency, minor=int(row.minor))
        for row in connection.execute(query)
    ]


def _projects(connection: Connection, month: str) -> list[ProjectMonth]:
    """Every project that has an expense or income, with what the month did to it."""
    entries, postings = ledger_entries, ledger_postings
    earned = postings.c.account.startswith(INCOME)
    query = (
        select(
            entries.c.project,
            postings.c.currency,
            entries.c.month,
            (entries.c.kind == Kind.USAGE).label("usage"),
            earned.label("earned"),
            func.sum(postings.c.minor).label("minor"),
        )
        .join(postings, postings.c.seq == entries.c.seq)
        .where(or_(earned, postings.c.account.startswith(EXPENSES)))
        .group_by(
            entries.c.project, postings.c.currency, entries.c.month, entries.c.kind == Kind.USAGE, earned
        )
    )
    months: dict[tuple[str, str], dict[str, dict[str, int]]] = defaultdict(
        lambda: defaultdict(lambda: {"income": 0, "expense": 0, "usage": 0})
    )
    for row in connection.execute(query):
        part = months[row.project, row.currency][row.month]
        if row.earned:
            part["income"] -= int(row.minor)
        else:
            part["usage" if row.usage else "expense"] += int(row.minor)
    return [_project(*key, months[key], month) for key in sorted(months)]


def _project(project: str, currency: str, months: dict[str, dict[str, int]], month: str) -> ProjectMonth:
    flows = [
        MonthFlow(month=each, cost_minor=part["expense"] + part["usage"], income_minor=part["income"])
        for each, part in months.items()
    ]
    part = months.get(month, {"income": 0, "expense": 0, "usage": 0})
    return ProjectMonth(
        project=project,
        currency=currency,
        income_minor=part["income"],
        expense_minor=part["expense"],
        usage_minor=part["usage"],
        margin_minor=part["income"] - part["expense"] - part["usage"],
        all_time=returns_of(flows),
    )


def _quantities(connection: Connection) -> list[UsedQuantities]:
    table = ledger_run_costs
    query = (
        select(
            table.c.project,
            table.c.currency,
            func.count().label("runs"),
            *(
                func.sum(table.c[name]).label(name)
                for name in ("gpu_s", "prompt_tokens", "generated_tokens", "micros")
            ),
        )
        .group_by(table.c.project, table.c.currency)
        .order_by(table.c.project, table.c.currency)
    )
    return [UsedQuantities.model_validate(row._asdict()) for row in connection.execute(query)]

"""What was spent or earned otherwise, what is undone, and what the report makes of it."""

from __future__ import annotations

import pytest

from master.ledger import BudgetExceeded
from master.ledger.report import list_entries, month_report
from tasks.errors import InvalidInput, NotFound, Refused
from tests.integration.core.ledger.books import LINES, MONTH, Books


def test_recorded_expense_counts_in_its_budget_even_beyond_it(books: Books) -> None:
    books.record("expense", 6000)
    assert books.use() == [(0, 6000), (0, 6000)]
    assert not books.room(1)
    with pytest.raises(BudgetExceeded, match=r"so 0\.00 EUR are left"):
        books.reserve("a", 1)


def test_reversal_gives_the_month_back_what_it_spent_once(books: Books) -> None:
    books.reserve("a", 3000)
    books.settle("a", 3000)
    books.reverse(2)
    assert books.use() == [(0, 0), (0, 0)]
    assert books.balances() == {}
    with pytest.raises(Refused, match="reversed by entry 3 already"):
        books.reverse(2)
    with pytest.raises(Refused, match="kind reversal"):
        books.reverse(3)
    with pytest.raises(Refused, match="reject or abandon"):
        books.reverse(1)
    with pytest.raises(NotFound):
        books.reverse(99)
    assert books.verify().sound


def test_same_idempotency_key_records_once(books: Books) -> None:
    first = books.record("income", 9900, idempotency_key="k")
    assert books.record("income", 9900, idempotency_key="k") == first
    with pytest.raises(Refused, match="used for ledger entry 1"):
        books.record("income", 9901, idempotency_key="k")
    undone = books.reverse(first, idempotency_key="k2")
    assert books.reverse(first, idempotency_key="k2") == undone


@pytest.mark.parametrize("minor", [0, -5])
def test_movement_of_nothing_or_less_is_refused(books: Books, minor: int) -> None:
    with pytest.raises(InvalidInput, match="more than 0"):
        books.record("income", minor)


def test_report_knows_margin_return_and_payback_of_a_project(books: Books) -> None:
    books.record("expense", 1000, month="2026-09")
    books.record("income", 700, month="2026-10", category="sales")
    books.record("income", 500, category="sales")
    books.record("expense", 100)
    report = books.read(month_report, LINES, MONTH)
    (project,) = report.projects
    assert (project.project, project.income_minor, project.expense_minor) == ("client:alba", 500, 100)
    assert project.margin_minor == 400
    assert project.all_time.profit_minor == 100
    assert project.all_time.roi_pct == 9.1
    assert project.all_time.payback_months == 3
    assert report.months == ("2026-11", "2026-10", "2026-09")
    assert {each.account: each.minor for each in report.accounts} == {
        "expenses:hosting": 100,
        "income:sales": -500,
    }


def test_entries_are_paged_by_number(books: Books) -> None:
    for minor in range(1, 6):
        books.record("income", minor)
    pages = [[e.seq for e in books.read(list_entries, after=after, limit=2)] for after in (0, 2, 4, 5)]
    assert pages == [[1, 2], [3, 4], [5], []]
    assert [e.seq for e in books.read(list_entries, newest=True, limit=2)] == [5, 4]

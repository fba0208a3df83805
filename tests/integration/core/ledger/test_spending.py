"""Spending in two phases: reserved within a budget, then settled or released, once."""

from __future__ import annotations

import pytest

from master.ledger import BudgetExceeded, reserve
from master.ledger.report import read_head
from master.ledger.verify import Verification
from tasks.errors import InvalidInput, MoveNotAllowed, Refused
from tests.integration.core.ledger.books import LINES, MONTH, NOW, Books, eur


def test_reserved_money_is_settled_with_less_and_the_rest_is_free_again(books: Books) -> None:
    books.reserve("a", 3000)
    assert books.balances() == {"budget:reserved:hosting": 3000, "budget:free": -3000}
    assert books.use() == [(3000, 0), (3000, 0)]
    books.settle("a", 2500)
    assert books.balances() == {"expenses:hosting": 2500, "assets:money": -2500}
    assert books.use() == [(0, 2500), (0, 2500)]
    assert books.verify().sound


def test_released_money_is_free_again(books: Books) -> None:
    books.reserve("a", 5000)
    assert not books.room(1)
    books.release("a")
    assert books.room(5000)
    assert books.balances() == {}


def test_budget_without_room_refuses_and_says_all_figures(books: Books) -> None:
    books.reserve("a", 3000)
    books.settle("a", 1500)
    books.reserve("b", 1000)
    with pytest.raises(BudgetExceeded) as refused:
        books.reserve("c", 2501)
    text = str(refused.value)
    for part in (
        "'hosting'",
        "2026-11",
        "25.01 EUR",
        "limit is 50.00",
        "15.00 EUR are spent",
        "10.00 EUR reserved",
    ):
        assert part in text
    books.reserve("d", 2500)
    assert books.use()[0] == (3500, 1500)


def test_overall_line_counts_all_categories_and_nothing_is_half_reserved(books: Books) -> None:
    books.reserve("a", 4000, "ads")
    with pytest.raises(BudgetExceeded, match="everything together"):
        books.reserve("b", 4001)
    assert books.use() == [(0, 0), (4000, 0)]
    assert books.room(4000)
    assert not books.room(4001)


def test_refused_reservation_leaves_nothing_though_its_transaction_goes_on(books: Books) -> None:
    with books.database.write() as connection:
        for approval, minor in (("a", 5001), ("b", 5000)):
            try:
                reserve(
                    connection,
                    approval_id=approval,
                    run_id="",
                    project="",
                    category="hosting",
                    amount=eur(minor),
                    month=MONTH,
                    budgets=LINES,
                    note="",
                    now=NOW,
                )
            except BudgetExceeded:
                assert approval == "a"
    assert books.use() == [(5000, 0), (5000, 0)]
    assert books.verify() == Verification(sound=True, entries=1, head=books.read(read_head)[1])


def test_each_month_has_a_budget_of_its_own(books: Books) -> None:
    books.reserve("a", 5000)
    books.reserve("b", 5000, month="2026-12")
    with pytest.raises(BudgetExceeded):
        books.reserve("c", 1, month="2026-12")


def test_reserving_again_changes_nothing_and_another_amount_is_refused(books: Books) -> None:
    books.reserve("a", 3000)
    books.reserve("a", 3000)
    assert books.read(read_head)[0] == 1
    with pytest.raises(Refused, match="takes a new request"):
        books.reserve("a", 2000)
    books.release("a")
    with pytest.raises(Refused, match="released"):
        books.reserve("a", 3000)


def test_nothing_is_reserved_for_a_request_without_a_cost(books: Books) -> None:
    books.reserve("a", 0)
    assert books.read(read_head)[0] == 0
    with pytest.raises(Refused, match="nothing is reserved"):
        books.settle("a", 0)


def test_settling_twice_counts_once_and_otherwise_is_refused(books: Books) -> None:
    books.reserve("a", 3000)
    books.settle("a", 2500)
    books.settle("a", 2500)
    assert books.use()[0] == (0, 2500)
    with pytest.raises(MoveNotAllowed, match="reversed"):
        books.settle("a", 2400)
    with pytest.raises(Refused, match="another reference"):
        books.settle("a", 2500, "F-2")


def test_more_than_reserved_or_another_currency_cannot_be_settled(books: Books) -> None:
    books.reserve("a", 3000)
    with pytest.raises(Refused, match=r"30\.00 EUR and cannot be settled with 30\.01 EUR"):
        books.settle("a", 3001)
    with pytest.raises(Refused, match="in EUR"):
        books.settle("a", 10, currency="USD")
    with pytest.raises(InvalidInput):
        books.settle("a", -1)
    assert books.use()[0] == (3000, 0)


def test_released_is_never_settled_and_settled_is_never_released(books: Books) -> None:
    books.reserve("a", 1000)
    books.release("a")
    with pytest.raises(MoveNotAllowed, match="released"):
        books.settle("a", 1000)
    books.reserve("b", 1000)
    books.settle("b", 1000)
    books.release("b")
    books.release("unknown")
    assert books.use()[0] == (0, 1000)
    assert books.verify().entries == 4

"""Profit, return on investment and payback of known cash flows."""

from __future__ import annotations

import pytest

from master.ledger.returns import MonthFlow, months_between, payback_months, returns_of


def flows(*months: tuple[str, int, int]) -> list[MonthFlow]:
    return [MonthFlow(month=month, cost_minor=cost, income_minor=income) for month, cost, income in months]


def test_profit_return_and_payback_of_an_investment() -> None:
    known = returns_of(flows(("2026-11", 1000, 0), ("2026-12", 200, 500), ("2027-02", 0, 1000)))
    assert (known.cost_minor, known.income_minor, known.profit_minor) == (1200, 1500, 300)
    assert known.roi_pct == 25.0
    # November to February, both included.
    assert known.payback_months == 4


@pytest.mark.parametrize(
    ("known", "months"),
    [
        ([("2026-11", 100, 100)], 1),
        ([("2026-11", 100, 99)], None),
        ([("2026-10", 0, 100), ("2026-11", 100, 0)], 1),
        ([("2026-12", 0, 100), ("2026-11", 100, 0)], 2),
        ([("2026-11", 0, 100)], None),
        ([], None),
    ],
)
def test_payback_is_the_first_month_in_which_income_has_caught_up(
    known: list[tuple[str, int, int]], months: int | None
) -> None:
    assert payback_months(flows(*known)) == months


def test_without_a_cost_there_is_no_return_on_it() -> None:
    assert returns_of(flows(("2026-11", 0, 100))).roi_pct is None


def test_months_are_counted_over_new_year() -> None:
    assert months_between("2026-11", "2027-02") == 3

"""What an investment gave back: profit, return on it, and how long it took. Pure.

A project or niche is an investment: its costs are what was spent on it, its income what it earned.
Simple figures, undiscounted, as in R. Brealey, S. Myers, F. Allen, "Principles of Corporate Finance",
chapter 5: payback is the time until the cumulative cash flow is no longer negative; return on investment
is net gain over cost. Sums of a year or two at home need no discount rate that nobody would know.
"""

from __future__ import annotations

from collections.abc import Iterable

from tasks.record import Record


class MonthFlow(Record):
    """What a project cost and earned in one month, in minor units of one currency."""

    month: str
    cost_minor: int = 0
    income_minor: int = 0


class Returns(Record):
    """How an investment stands."""

    cost_minor: int
    income_minor: int
    #: income - cost
    profit_minor: int
    #: (income - cost) / cost, in percent; None while nothing was spent.
    roi_pct: float | None
    #: Months from the first cost until income had caught up, the first one included; None: not yet, or no cost.
    payback_months: int | None


def profit_minor(cost_minor: int, income_minor: int) -> int:
    return income_minor - cost_minor


def roi_pct(cost_minor: int, income_minor: int) -> float | None:
    """Return on investment in percent, to a tenth: ``(income - cost) / cost``."""
    if cost_minor <= 0:
        return None
    return round(100 * (income_minor - cost_minor) / cost_minor, 1)


def payback_months(flows: Iterable[MonthFlow]) -> int | None:
    """Months from that of the first cost to the first at whose end all income covers all cost so far. 1: it paid
    itself back in the month in which it was paid. Income from before the first cost counts."""
    cost = income = 0
    first = ""
    for flow in sorted(flows, key=lambda each: each.month):
        cost += flow.cost_minor
        income += flow.income_minor
        if cost > 0 and not first:
            first = flow.month
        if first and income >= cost:
            return months_between(first, flow.month) + 1
    return None


def returns_of(flows: Iterable[MonthFlow]) -> Returns:
    known = list(flows)
    cost = sum(flow.cost_minor for flow in known)
    income = sum(flow.income_minor for flow in known)
    return Returns(
        cost_minor=cost,
        income_minor=income,
        profit_minor=profit_minor(cost, income),
        roi_pct=roi_pct(cost, income),
        payback_months=payback_months(known),
    )


def months_between(first: str, last: str) -> int:
    """``"2026-11", "2027-02"`` -> 3."""
    years, months = (int(b) - int(a) for a, b in zip(first.split("-"), last.split("-"), strict=True))
    return 12 * years + months

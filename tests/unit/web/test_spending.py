"""What a month spent, as two pictures."""

from __future__ import annotations

import re
from datetime import date

from master.ledger.days import Spending
from master.ledger.report import BudgetUse
from master.web.spending import MOST_COLORS, bar_of, draw_spending


def spent(**days: dict[str, int]) -> Spending:
    """``d3={"hosting": 100}``: on the third of November."""
    return Spending(
        currency="EUR", days={date(2026, 11, int(name[1:])): parts for name, parts in days.items()}
    )


def use(limit: int, spent_minor: int, held: int) -> BudgetUse:
    left = max(0, limit - spent_minor - held)
    return BudgetUse(
        category="x",
        currency="EUR",
        limit_minor=limit,
        held_minor=held,
        spent_minor=spent_minor,
        left_minor=left,
    )


def test_a_days_categories_are_stacked_the_largest_first() -> None:
    drawn = draw_spending(
        spent(d3={"ads": 250, "hosting": 1500}, d9={"hosting": 500}),
        "2026-11",
        today=date(2026, 11, 21),
        limit_minor=None,
    )
    assert drawn.legend == (("hosting", 0, 2000), ("ads", 1, 250))
    below, above = (block for block in drawn.blocks if block.day.day == 3)
    assert (below.category, above.category) == ("hosting", "ads")
    assert round(above.y + above.height, 1) == below.y
    assert round(below.y + below.height, 1) == drawn.bottom
    assert below.height > 2.9 * drawn.blocks[-1].height, "as tall as its amount"
    assert drawn.weeks[:3] == ((date(2026, 11, 1), 0), (date(2026, 11, 2), 1750), (date(2026, 11, 9), 500))


def test_the_sum_ends_today_and_nothing_is_foretold() -> None:
    paid = spent(d3={"x": 1000}, d5={"x": 500})
    today = draw_spending(paid, "2026-11", today=date(2026, 11, 6), limit_minor=4000)
    past = draw_spending(paid, "2026-11", today=date(2027, 1, 1), limit_minor=4000)
    assert len(re.findall("H", today.sum_path)) == 6
    assert len(re.findall("H", past.sum_path)) == 30
    assert past.sum_path.endswith(f"H{past.right:.1f}")
    assert today.limit_y is not None
    assert today.limit_y <= min(float(y) for y in re.findall(r"V([\d.]+)", today.sum_path))


def test_what_was_posted_later_for_the_month_counts_on_its_last_day() -> None:
    late = Spending(currency="EUR", days={date(2026, 12, 2): {"x": 100}, date(2026, 10, 31): {"x": 50}})
    drawn = draw_spending(late, "2026-11", today=date(2026, 12, 5), limit_minor=None)
    assert [(block.day.day, block.minor) for block in drawn.blocks] == [(1, 50), (30, 100)]


def test_money_that_came_back_is_no_block_and_many_categories_share_a_color() -> None:
    back = draw_spending(spent(d3={"x": -100}), "2026-11", today=date(2026, 11, 5), limit_minor=None)
    assert back.blocks == ()
    many = spent(d3={f"c{n}": 100 + n for n in range(9)})
    drawn = draw_spending(many, "2026-11", today=date(2026, 11, 5), limit_minor=None)
    assert max(color for _, color, _ in drawn.legend) == MOST_COLORS - 1


def test_a_budgets_bar_is_filled_by_what_goes_beyond_it() -> None:
    assert bar_of(use(1000, 250, 500)) == {"spent": 250, "held": 500}
    assert bar_of(use(1000, 1500, 500)) == {"spent": 750, "held": 250}
    assert bar_of(use(0, 0, 0)) == {"spent": 0, "held": 0}

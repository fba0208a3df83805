"""What a month spent, laid out for two pictures: each day's sum by category, and the sum so far against the limit.
Pure. Nothing is foretold: the pictures end today."""

from __future__ import annotations

import calendar
import dataclasses
import itertools
from collections.abc import Sequence
from datetime import date

from master.ledger.days import Spending
from master.ledger.report import BudgetUse

_LEFT, _WIDTH, _RIGHT = 88, 600, 10
_TOP, _TALL, _BOTTOM = 12, 150, 24
#: Categories with a color of their own; what more there are shares one.
MOST_COLORS = 6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Block:
    """A category's part of a day."""

    x: float
    y: float
    width: float
    height: float
    color: int
    day: date
    category: str
    minor: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpendingChart:
    currency: str
    total_minor: int
    #: Of all together, where the owner set one.
    limit_minor: int | None
    #: Category, its color, its sum; the largest first.
    legend: tuple[tuple[str, int, int], ...]
    blocks: tuple[Block, ...]
    #: Height and amount of each line across, of the days' picture and of the sum's.
    day_lines: tuple[tuple[float, int], ...]
    sum_lines: tuple[tuple[float, int], ...]
    #: The sum so far, as a path; and the height of the limit.
    sum_path: str
    limit_y: float | None
    #: x and day of the month.
    ticks: tuple[tuple[float, int], ...]
    #: Monday of each week, or the month's first day, with what its days spent.
    weeks: tuple[tuple[date, int], ...]
    width: float = _LEFT + _WIDTH + _RIGHT
    height: float = _TOP + _TALL + _BOTTOM
    left: float = _LEFT
    right: float = _LEFT + _WIDTH
    bottom: float = _TOP + _TALL


def draw_spending(spent: Spending, month: str, *, today: date, limit_minor: int | None) -> SpendingChart:
    """``month`` as ``2026-11``; the sum's line ends at ``today``, or with the month."""
    first = date.fromisoformat(f"{month}-01")
    days = calendar.monthrange(first.year, first.month)[1]
    colors = {category: min(at, MOST_COLORS - 1) for at, category in enumerate(spent.categories)}
    # What was posted before the month began, or after it ended, counts on its first or last day.
    of_day = _held_in(spent, first, days)
    sums = [sum(of_day.get(first.replace(day=day), {}).values()) for day in range(1, days + 1)]
    until = days if today >= first.replace(day=days) else max(1, today.day if today >= first else 1)
    so_far = list(itertools.accumulate(sums))[:until]
    day_top = _nice(max([*sums, 1]))
    sum_top = _nice(max([*so_far, limit_minor or 0, 1]))
    each = _WIDTH / days
    return SpendingChart(
        currency=spent.currency,
        total_minor=spent.total_minor,
        limit_minor=limit_minor,
        legend=tuple(
            (category, colors[category], sum(parts.get(category, 0) for parts in spent.days.values()))
            for category in spent.categories
        ),
        blocks=tuple(_blocks(of_day, first, each, day_top, colors)),
        day_lines=_lines(day_top),
        sum_lines=_lines(sum_top),
        sum_path=_steps(so_far, each, sum_top),
        limit_y=None if limit_minor is None else _y(limit_minor, sum_top),
        ticks=tuple((round(_LEFT + each * (day - 0.5), 1), day) for day in (1, 8, 15, 22, days)),
        weeks=tuple(_weeks(sums, first)),
    )


def _held_in(spent: Spending, first: date, days: int) -> dict[date, dict[str, int]]:
    last = first.replace(day=days)
    found: dict[date, dict[str, int]] = {}
    for day, parts in spent.days.items():
        into = found.setdefault(min(max(day, first), last), {})
        for category, minor in parts.items():
            into[category] = into.get(category, 0) + minor
    return found


def _nice(minor: int) -> int:
    """The least of 1, 2, 4, 5, 8, 10, 20, ... times a power of ten that is not below."""
    power = int("1" + "0" * (len(str(minor)) - 1))
    return next(each * power for each in (1, 2, 4, 5, 8, 10) if each * power >= minor)


def _y(minor: float, top: int) -> float:
    return round(_TOP + _TALL * (1 - max(0.0, minor) / top), 1)


def _lines(top: int) -> tuple[tuple[float, int], ...]:
    return tuple((_y(top * part / 2, top), top * part // 2) for part in range(3))


def _blocks(
    of_day: dict[date, dict[str, int]], first: date, each: float, top: int, colors: dict[str, int]
) -> list[Block]:
    """Stacked from the bottom, the largest category first. What a day got back is not drawn."""
    found = []
    for day, parts in sorted(of_day.items()):
        below = 0
        for category in sorted(parts, key=lambda name: colors[name]):
            minor = parts[category]
            if minor > 0:
                y, foot = _y(below + minor, top), _y(below, top)
                x = round(_LEFT + each * (day - first).days + each * 0.14, 1)
                found.append(
                    Block(
                        x=x,
                        y=y,
                        width=round(each * 0.72, 1),
                        height=round(max(foot - y, 1.0), 1),
                        color=colors[category],
                        day=day,
                        category=category,
                        minor=minor,
                    )
                )
                below += minor
    return found


def _steps(so_far: Sequence[int], each: float, top: int) -> str:
    """The sum rises where a day spent something, and stands until the next."""
    path = f"M{_LEFT} {_y(0, top):g}"
    for at, minor in enumerate(so_far):
        path += f"V{_y(minor, top):g}H{_LEFT + each * (at + 1):.1f}"
    return path


def _weeks(sums: Sequence[int], first: date) -> list[tuple[date, int]]:
    found: list[tuple[date, int]] = []
    for at, minor in enumerate(sums):
        day = first.replace(day=at + 1)
        if not found or day.weekday() == 0:
            found.append((day, 0))
        found[-1] = (found[-1][0], found[-1][1] + minor)
    return found


def bar_of(line: BudgetUse) -> dict[str, int]:
    """Where a bar of 1000 parts changes from spent to reserved, and from reserved to free. What was recorded
    beyond the limit fills it."""
    whole = max(line.limit_minor, line.spent_minor + line.held_minor, 1)
    spent = 1000 * max(0, line.spent_minor) // whole
    held = 1000 * max(0, line.held_minor) // whole
    return {"spent": spent, "held": min(held, 1000 - spent)}

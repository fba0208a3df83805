"""The opportunity map and the intervals, as places that the template draws. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from master.niches.bounds import Interval
from master.niches.ranking import Ranked
from master.niches.scoring import POINTS, Score
from master.web.scales import Scale, decades_of, number

WIDTH, HEIGHT = 1080, 470
LEFT, RIGHT, TOP, BOTTOM = 64, 1050, 20, 420
#: So many names are written, of the best; the others have a tooltip.
_NAMED = 12
_LEAST_RADIUS, _MOST_RADIUS = 6.0, 26.0


def _part(name: str) -> Callable[[Score], Interval]:
    return lambda score: next(part.points for part in score.parts if part.name == name)


#: What niches can be laid out by, all but the searches from 0 to so many.
AXES: dict[str, float] = {"searches": 0.0, "competition": 100.0, "score": 100.0, **POINTS}


def axes_of(x: str, y: str) -> tuple[str, str]:
    """The two that were asked for, or searches against competition; never one twice."""
    across = x if x in AXES else "searches"
    upwards = y if y in AXES and y != across else "competition"
    return across, upwards if upwards != across else "score"


def value_of(score: Score, axis: str) -> Interval:
    """As the axis shows it: competition in percent, parts in points."""
    if axis == "searches":
        return score.demand
    if axis == "score":
        return score.total
    if axis == "competition":
        found = score.competition
        return Interval(low=100 * found.low, middle=100 * found.middle, high=100 * found.high)
    return _part(axis)(score)


def opportunity_map(ranked: Sequence[Ranked], x_axis: str, y_axis: str, chosen: str) -> dict[str, Any] | None:
    """Each niche with both its intervals; its area tells the searches a month. None without niches."""
    if not ranked:
        return None
    x, y = _scale(ranked, x_axis, LEFT, RIGHT), _scale(ranked, y_axis, BOTTOM, TOP)
    most = max(one.niche.score.demand.middle for one in ranked) or 1.0
    marks = []
    for one in ranked:
        across, upwards = value_of(one.niche.score, x_axis), value_of(one.niche.score, y_axis)
        share = math.sqrt(max(one.niche.score.demand.middle, 0.0) / most)
        marks.append(
            {
                "one": one,
                "x": x(across.middle),
                "y": y(upwards.middle),
                "r": round(max(_LEAST_RADIUS, _MOST_RADIUS * share), 1),
                "across": (x(across.low), x(across.high)),
                "upwards": (y(upwards.low), y(upwards.high)),
                "chosen": one.niche.key == chosen,
            }
        )
    _name(marks)
    return {
        # The best last: nothing lies on it.
        "marks": marks[::-1],
        "x_ticks": [(place, number(value)) for place, value in x.ticks],
        "y_ticks": [(place, number(value)) for place, value in y.ticks],
    }


def _scale(ranked: Sequence[Ranked], axis: str, start: float, end: float) -> Scale:
    if axis == "searches":
        demands = [one.niche.score.demand for one in ranked]
        return decades_of([value for one in demands for value in (one.low, one.high)], start, end)
    return Scale(0.0, AXES[axis], start, end)


def _name(marks: list[dict[str, Any]]) -> None:
    """Names beside the best, each where it overlaps no other, or none."""
    taken: list[tuple[float, float, float]] = []
    for mark in marks:
        mark["name"] = ""
    for mark in marks[:_NAMED]:
        text = f"{mark['one'].rank}. {mark['one'].niche.label[:30]}"
        width = 7.4 * len(text)
        start = mark["x"] + mark["r"] + 5
        if start + width > RIGHT + 20:
            start = mark["x"] - mark["r"] - 5 - width
        for shift in (4, 20, -12, 36):
            place = mark["y"] + shift
            if all(
                abs(place - other) >= 15 or start >= last or start + width <= first
                for first, last, other in taken
            ):
                taken.append((start, start + width, place))
                mark["name"], mark["name_x"], mark["name_y"] = text, round(start, 1), round(place, 1)
                break


def interval(value: Interval, most: float = 100.0) -> dict[str, float]:
    """On a line of 1000 parts."""
    line = Scale(0.0, most, 0, 1000)
    return {"low": line(value.low), "value": line(value.middle), "high": line(value.high)}


def parts(score: Score) -> list[tuple[Any, dict[str, float]]]:
    """Each part of a score with its interval on its own line."""
    return [(part, interval(part.points, float(part.of))) for part in score.parts]

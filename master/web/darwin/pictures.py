"""An evolution's pictures as places and paths, which the template draws. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from master.darwin.reading import Ancestor, Point
from master.web.scales import Scale, number, scale_of

WIDTH, HEIGHT = 1080, 290
LEFT, RIGHT, TOP, BOTTOM = 60, 1064, 14, 246
#: Parts of the time in the picture of the fleet's use.
_BUCKETS = 36
#: A family tree's grid.
_COLUMN, _ROW, _EDGE = 112, 46, 30

#: Names of what candidates can be compared in, and whether more is better.
AXES: dict[str, bool] = {"score": True, "tokens": False, "seconds": False}


def fitness(points: Sequence[Point]) -> dict[str, Any] | None:
    """Each evaluation's score, and the best so far as a line; None while nothing was evaluated."""
    scored = [(one.told, one.score, one) for one in points if one.score is not None]
    bests = [(one.told, one.best) for one in points if one.best is not None]
    if not scored:
        return None
    last = points[-1].told
    x = Scale(0, max(1, last), LEFT, RIGHT)
    y = scale_of([score for _, score, _ in scored] + [best for _, best in bests], BOTTOM, TOP, share=True)
    return {
        "dots": [(x(told), y(score), one.cached) for told, score, one in scored],
        "line": _steps(bests, x, y, last),
        "failed": [x(one.told) for one in points if one.kind == "failed"],
        **_axes(x, y),
    }


def _steps(bests: Sequence[tuple[int, float]], x: Scale, y: Scale, last: int) -> str:
    """Level until there is a better one."""
    path, before = "", None
    for told, best in bests:
        if best != before:
            path += f"H{x(told)}V{y(best)}" if path else f"M{x(told)} {y(best)}"
            before = best
    return f"{path}H{x(last)}" if path else ""


def _axes(x: Scale, y: Scale) -> dict[str, Any]:
    return {
        "x_ticks": [(place, number(value)) for place, value in x.ticks],
        "y_ticks": [(place, number(value)) for place, value in y.ticks],
    }


def use_of_fleet(points: Sequence[Point], slots: int) -> dict[str, Any] | None:
    """The share of the fleet's slots that was busy with it, over its time, as bars. ``points`` stand for all
    tells: of a sample, each counts for as many as it was drawn from. None where there is too little."""
    worked = [one for one in points if one.kind == "evaluated" and not one.cached]
    if len(worked) < 2 or slots < 1:
        return None
    each = (points[-1].told + 1) / len(points)
    begun = min(one.at - timedelta(seconds=one.seconds) for one in worked)
    ended = max(one.at for one in worked)
    span_s = (ended - begun).total_seconds()
    if span_s <= 0:
        return None
    busy = Counter[int]()
    width_s = span_s / _BUCKETS
    for one in worked:
        # Spread over the buckets in which it ran: a long evaluation is not work of its last moment.
        end_s = (one.at - begun).total_seconds()
        start_s = max(0.0, end_s - one.seconds)
        for at in range(int(start_s / width_s), min(int(end_s / width_s), _BUCKETS - 1) + 1):
            inside = min(end_s, (at + 1) * width_s) - max(start_s, at * width_s)
            busy[at] += round(max(0.0, inside) * each * 1e6)
    shares = [min(1.0, busy[at] / 1e6 / (width_s * slots)) for at in range(_BUCKETS)]
    step = (RIGHT - LEFT) / _BUCKETS
    y = Scale(0, 1, 84, 10)
    return {
        "bars": [
            (round(LEFT + at * step, 1), y(share), round(step - 1.5, 1), round(84 - y(share), 1))
            for at, share in enumerate(shares)
        ],
        "mean": sum(shares) / len(shares),
        "span_s": span_s,
        "sampled": each > 1.01,
    }


def axes_of(population: Sequence[Mapping[str, Any]], goals: Sequence[str]) -> dict[str, bool]:
    """What these candidates can be compared in, and whether more of it is better."""
    if len(goals) > 1:
        return {f"goal {at + 1}": goal == "max" for at, goal in enumerate(goals)}
    shown = AXES if not goals else {"score": True, "seconds": False}
    return {
        name: more
        for name, more in shown.items()
        if name == "score" or len({one[name] for one in population}) > 1
    }


def value_of(one: Mapping[str, Any], axis: str, axes: Mapping[str, bool]) -> float:
    """As people read it: what should be small is a positive number again."""
    if axis.startswith("goal "):
        value = float(one["objectives"][int(axis[5:]) - 1])
        return value if axes[axis] else -value
    return float(one[axis])


def front(
    population: Sequence[Mapping[str, Any]], axes: Mapping[str, bool], x_name: str, y_name: str
) -> dict[str, Any] | None:
    """The candidates by two of their values; who is beaten by nobody in both is on the front. None when
    there are no two values to compare in."""
    shown = [one for one in population if not x_name.startswith("goal ") or one["objectives"]]
    if x_name == y_name or len(shown) < 2:
        return None
    places = [(value_of(one, x_name, axes), value_of(one, y_name, axes)) for one in shown]
    x = scale_of([place[0] for place in places], LEFT, RIGHT - 40)
    y = scale_of([place[1] for place in places], BOTTOM, TOP)
    better = [(a if axes[x_name] else -a, b if axes[y_name] else -b) for a, b in places]
    marks: list[dict[str, Any]] = [
        {
            "x": x(a),
            "y": y(b),
            "one": one,
            "values": (a, b),
            "front": not any(o[0] >= b_[0] and o[1] >= b_[1] and o != b_ for o in better),
        }
        for one, (a, b), b_ in zip(shown, places, better, strict=True)
    ]
    line = sorted((mark["x"], mark["y"]) for mark in marks if mark["front"])
    named: list[tuple[float, float]] = []
    for mark in marks:
        # A name that would lie on another one is left to the tooltip.
        free = all(abs(mark["x"] - a) > 44 or abs(mark["y"] - b) > 13 for a, b in named)
        mark["named"] = mark["front"] and free
        if mark["named"]:
            named.append((mark["x"], mark["y"]))
    return {
        "marks": sorted(marks, key=lambda mark: bool(mark["front"])),
        "line": "M" + "L".join(f"{a} {b}" for a, b in line) if len(line) > 1 else "",
        **_axes(x, y),
    }


def family_tree(
    members: Sequence[tuple[Ancestor, tuple[float | None, int]]], root: int, chosen: int
) -> dict[str, Any]:
    """Generations from left to right, each ancestor where its latest parent's next column is."""
    by_number = {one.number: one for one, _ in members}
    column: dict[int, int] = {}
    for number_ in sorted(by_number):
        parents = [column[at] for at in by_number[number_].parents if at in column]
        column[number_] = max(parents, default=-1) + 1
    rows: Counter[int] = Counter()
    place: dict[int, tuple[int, int]] = {}
    for number_ in sorted(by_number, key=lambda at: (column[at], -at)):
        place[number_] = (_EDGE + column[number_] * _COLUMN, _EDGE + rows[column[number_]] * _ROW)
        rows[column[number_]] += 1
    edges = []
    for one in by_number.values():
        for parent in dict.fromkeys(one.parents):
            if parent in place:
                (ax, ay), (bx, by) = place[parent], place[one.number]
                middle = (ax + bx) // 2
                edges.append(f"M{ax} {ay}C{middle} {ay} {middle} {by} {bx} {by}")
    return {
        "width": 2 * _EDGE + max(column.values(), default=0) * _COLUMN + 60,
        "height": 2 * _EDGE + (max(rows.values(), default=1) - 1) * _ROW + 12,
        "edges": edges,
        "nodes": [
            {
                "one": one,
                "score": score,
                "x": place[one.number][0],
                "y": place[one.number][1],
                "root": one.number == root,
                "chosen": one.number == chosen,
            }
            for one, (score, _) in members
        ],
    }


def interval(low: float, value: float, high: float, most: float = 1.0) -> dict[str, float]:
    """A value with its interval on a line of 1000 parts."""
    line = Scale(0.0, max(most, 1e-9), 0, 1000)
    return {"low": line(low), "value": line(value), "high": line(high)}

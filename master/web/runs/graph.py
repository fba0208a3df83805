"""A run's steps as a graph, laid out for a picture: what was asked for together, and what it may rest on. Pure.

A column holds the passes of one layer (``master.flows.succession``). Where a pass knew several outcomes, or asked
for several steps, the lines meet in a bar that stands for it: a line to a bar says that the pass knew this
outcome, not that each of its steps used it.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from master.dispatch.states import StepKind
from master.flows.succession import Pass, StepTimes, is_aside, passes_of

#: Steps drawn at most, and columns: beyond that a picture says less than a list.
MOST_STEPS = 240
MOST_LAYERS = 60
#: Steps of one pass with keys alike that are drawn one by one; more become one box.
_MOST_ALIKE = 6

_WIDTH, _HEIGHT = 206, 46
_ACROSS, _DOWN = 52, 12
_MARGIN = 6
_NUMBER = re.compile(r"\d+")
_LONGEST_LABEL = 24


@dataclasses.dataclass(frozen=True, kw_only=True)
class Box:
    """A step, or several of one pass whose keys differ in their numbers alone."""

    x: float
    y: float
    label: str
    #: Untrimmed.
    title: str
    steps: tuple[Mapping[str, Any], ...]
    #: State -> how many, the worst first.
    states: tuple[tuple[str, int], ...]

    @property
    def state(self) -> str:
        return self.states[0][0]

    @property
    def parts(self) -> list[dict[str, Any]]:
        """A bar of the box's inner width, divided as the states are."""
        found, x = [], self.x + 10
        for state, count in self.states[::-1]:
            width = (_WIDTH - 20) * count / len(self.steps)
            found.append({"state": state, "x": round(x, 1), "width": round(width, 1)})
            x += width
        return found

    @property
    def step(self) -> Mapping[str, Any]:
        """The first one: the only one, mostly."""
        return self.steps[0]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawing:
    """In units of which a box is 206 wide and 46 high."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    #: Paths, as SVG writes them.
    lines: tuple[str, ...]
    #: x, top, bottom.
    bars: tuple[tuple[float, float, float], ...]
    box_width: int = _WIDTH
    box_height: int = _HEIGHT


_WORST_FIRST = ("failed", "running", "waiting", "queued", "ready", "cancelled", "done")


def draw_graph(steps: Sequence[Mapping[str, Any]]) -> Drawing | None:
    """None for what a picture would not show better than a list: nothing, or too much. What is set aside is left
    out."""
    counting = [step for step in steps if not is_aside(step["key"])]
    if not 0 < len(counting) <= MOST_STEPS:
        return None
    passes = passes_of([_times(step) for step in counting])
    if passes[-1].layer >= MOST_LAYERS:
        return None
    return _Layout({step["id"]: step for step in counting}, passes).drawing()


def _times(step: Mapping[str, Any]) -> StepTimes:
    return StepTimes(
        id=step["id"],
        key=step["key"],
        kind=StepKind(step["kind"]),
        created_at=step["created_at"],
        ended_at=step["finished_at"],
    )


class _Layout:
    def __init__(self, steps: Mapping[int, Mapping[str, Any]], passes: Sequence[Pass]) -> None:
        self._passes = passes
        self._groups = [_group([steps[each.id] for each in one.steps]) for one in passes]
        columns = [0] * (passes[-1].layer + 1)
        for one, groups in zip(passes, self._groups, strict=True):
            columns[one.layer] += len(groups)
        self._tallest = max(columns)
        self._columns = columns
        self._box_of: dict[int, Box] = {}

    def drawing(self) -> Drawing:
        placed = self._place()
        lines: list[str] = []
        bars: list[tuple[float, float, float]] = []
        for one, boxes in zip(self._passes, placed, strict=True):
            self._connect(one, boxes, lines, bars)
        return Drawing(
            width=len(self._columns) * (_WIDTH + _ACROSS) - _ACROSS + 2 * _MARGIN,
            height=self._tallest * (_HEIGHT + _DOWN) - _DOWN + 2 * _MARGIN,
            boxes=tuple(box for boxes in placed for box in boxes),
            lines=tuple(lines),
            bars=tuple(bars),
        )

    def _place(self) -> list[list[Box]]:
        """Each column stands in the middle of the picture's height."""
        row = [(self._tallest - count) / 2 for count in self._columns]
        placed = []
        for one, groups in zip(self._passes, self._groups, strict=True):
            boxes = []
            for steps in groups:
                y = _MARGIN + row[one.layer] * (_HEIGHT + _DOWN)
                box = _box(_MARGIN + one.layer * (_WIDTH + _ACROSS), y, steps)
                self._box_of.update((step["id"], box) for step in steps)
                row[one.layer] += 1
                boxes.append(box)
            placed.append(boxes)
        return placed

    def _connect(
        self, one: Pass, boxes: list[Box], lines: list[str], bars: list[tuple[float, float, float]]
    ) -> None:
        before = list({id(box): box for box in (self._box_of[step.id] for step in one.rests_on)}.values())
        if not before:
            return
        if len(before) == len(boxes) == 1:
            lines.append(_curve(_right(before[0]), _left(boxes[0])))
            return
        ends = [_left(box) for box in boxes]
        x, top, bottom = ends[0][0] - _ACROSS / 3, ends[0][1], ends[-1][1]
        bars.append((x, top - _HEIGHT / 3, bottom + _HEIGHT / 3))
        lines += [_curve(_right(box), (x, _held(_right(box)[1], top, bottom))) for box in before]
        lines += [f"M{x:g} {y:g}H{end:g}" for end, y in ends]


def _group(steps: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """The steps of a pass, those with keys alike together where they are many."""
    alike: dict[str, list[Mapping[str, Any]]] = {}
    for step in steps:
        alike.setdefault(_NUMBER.sub("…", step["key"]), []).append(step)
    found: list[list[Mapping[str, Any]]] = []
    for some in alike.values():
        found += [some] if len(some) > _MOST_ALIKE else [[step] for step in some]
    return found


def _box(x: float, y: float, steps: Sequence[Mapping[str, Any]]) -> Box:
    counts = Counter(str(step["state"]) for step in steps)
    title = steps[0]["key"] if len(steps) == 1 else _NUMBER.sub("…", steps[0]["key"])
    label = title if len(title) <= _LONGEST_LABEL else title[: _LONGEST_LABEL - 1] + "…"
    states = tuple((state, counts[state]) for state in _WORST_FIRST if counts[state])
    return Box(x=x, y=y, label=label, title=title, steps=tuple(steps), states=states)


def _right(box: Box) -> tuple[float, float]:
    return box.x + _WIDTH, box.y + _HEIGHT / 2


def _left(box: Box) -> tuple[float, float]:
    return box.x, box.y + _HEIGHT / 2


def _held(y: float, top: float, bottom: float) -> float:
    """Where a line from ``y`` meets a bar."""
    return min(max(y, top - _HEIGHT / 4), bottom + _HEIGHT / 4)


def _curve(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x, y), (to_x, to_y) = start, end
    if y == to_y:
        return f"M{x:g} {y:g}H{to_x:g}"
    # What spans several columns bends at its end, behind the boxes between.
    bend = min(_ACROSS, to_x - x) / 2
    return (
        f"M{x:g} {y:g}H{to_x - 2 * bend:g}C{to_x - bend:g} {y:g} {to_x - bend:g} {to_y:g} {to_x:g} {to_y:g}"
    )

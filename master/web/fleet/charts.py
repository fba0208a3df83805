"""Numbers over time as paths of an SVG: pure, and readable without a script.

A path lies in a box of ``WIDTH`` by ``HEIGHT`` which the page stretches as wide as it has room; the
labels of its axes stand beside it as text, so that they do not shrink on a phone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from master.fleet.readings import Series
from master.web.views import format_size
from tasks.protocol import Hardware
from tasks.record import Record

WIDTH, HEIGHT = 600, 100
#: More points than this are not seen.
MOST_POINTS = 300
#: Longer than so many spans without a number: the line is broken.
_GAP = 3.0

#: Seconds since the epoch, and the number.
Point = tuple[float, float]
Column = Sequence[float | None]


class Chart(Record):
    """One line over time, with the words beside it."""

    #: What it shows: ``gpu_use``, ``gpu_memory``, ``gpu_temperature``, ``cpu``, ``memory``.
    kind: str
    #: Of which GPU; None of the machine.
    gpu: int | None = None
    line: str
    area: str
    #: What the ends and the middle of the vertical axis stand for.
    top: str
    middle: str
    bottom: str
    newest: str
    highest: str
    #: [x, seconds before the end, text] of each point, for a pointer to ask.
    points: tuple[tuple[float, int, str], ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """How numbers of a kind are drawn and said."""

    kind: str
    ceiling: float
    say: Callable[[float], str]
    #: One number for several that share a place: their mean, or the highest.
    choose: Callable[[Sequence[float]], float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Window:
    """The time that is drawn."""

    start: datetime
    end: datetime
    #: How far apart the numbers are.
    span_s: int

    @property
    def slot_s(self) -> float:
        """What falls into one slot shares a place."""
        return max(float(self.span_s), (self.end - self.start).total_seconds() / MOST_POINTS)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def say_percent(value: float) -> str:
    return f"{value:.0f} %"


def say_mib(value: float) -> str:
    return format_size(round(value) << 20)


def say_degrees(value: float) -> str:
    return f"{value:.0f} °C"


def charts_of(hardware: Hardware, series: Series, window: Window) -> list[Chart]:
    """Everything that this machine tells: its GPUs one after the other, then its processors and memory. What
    was never told has no chart."""
    drawn = []
    for number, (gpu, told) in enumerate(zip(hardware.gpus, series.gpus, strict=False)):
        for scale, column in (
            (Scale(kind="gpu_use", ceiling=100, say=say_percent, choose=mean), told.use_pct),
            (_memory("gpu_memory", gpu.memory_mib), told.memory_used_mib),
            (Scale(kind="gpu_temperature", ceiling=100, say=say_degrees, choose=max), told.temperature_c),
        ):
            drawn.append(draw(scale, series.at_s, column, window, gpu=number))
    drawn += _of_machine(hardware, series, window)
    return [chart for chart in drawn if chart is not None]


def sparks_of(hardware: Hardware, series: Series, window: Window) -> list[Chart]:
    """The few that a list shows: use and memory of each GPU, or of the machine where it has none."""
    drawn = []
    for number, (gpu, told) in enumerate(zip(hardware.gpus, series.gpus, strict=False)):
        use = Scale(kind="gpu_use", ceiling=100, say=say_percent, choose=mean)
        drawn.append(draw(use, series.at_s, told.use_pct, window, gpu=number))
        memory = _memory("gpu_memory", gpu.memory_mib)
        drawn.append(draw(memory, series.at_s, told.memory_used_mib, window, gpu=number))
    if not hardware.gpus:
        drawn += _of_machine(hardware, series, window)
    return [chart for chart in drawn if chart is not None]


def _of_machine(hardware: Hardware, series: Series, window: Window) -> list[Chart | None]:
    processors = Scale(kind="cpu", ceiling=100, say=say_percent, choose=mean)
    memory = _memory("memory", hardware.memory_mib)
    return [
        draw(processors, series.at_s, series.cpu_pct, window),
        draw(memory, series.at_s, series.memory_used_mib, window),
    ]


def _memory(kind: str, mib: int) -> Scale:
    return Scale(kind=kind, ceiling=mib, say=say_mib, choose=max)


def draw(
    scale: Scale, at_s: Sequence[float], column: Column, window: Window, gpu: int | None = None
) -> Chart | None:
    """The chart of these numbers; None where there are none in this time."""
    start_s, end_s = window.start.timestamp(), window.end.timestamp()
    within = [
        (at, value)
        for at, value in zip(at_s, column, strict=True)
        if value is not None and start_s <= at <= end_s
    ]
    if not within:
        return None
    thin = _thin(within, start_s, window.slot_s, scale.choose)
    ceiling = max(scale.ceiling, 1e-9, *(value for _, value in thin))
    across, up = WIDTH / (end_s - start_s), HEIGHT / ceiling
    pieces = list(_pieces(thin, _GAP * window.slot_s))
    lines = [
        _line([((at - start_s) * across, HEIGHT - value * up) for at, value in piece]) for piece in pieces
    ]
    return Chart(
        kind=scale.kind,
        gpu=gpu,
        line=" ".join(lines),
        area=" ".join(
            f"{line} V{HEIGHT} H{(piece[0][0] - start_s) * across:.1f} Z"
            for line, piece in zip(lines, pieces, strict=True)
        ),
        top=scale.say(ceiling),
        middle=scale.say(ceiling / 2),
        bottom="0" if scale.say is say_mib else scale.say(0),
        newest=scale.say(within[-1][1]),
        highest=scale.say(max(value for _, value in within)),
        points=tuple(
            (round((at - start_s) * across, 1), int(end_s - at), scale.say(value)) for at, value in thin
        ),
    )


def _thin(
    points: Sequence[Point], start_s: float, slot_s: float, choose: Callable[[Sequence[float]], float]
) -> list[Point]:
    slots: dict[int, list[Point]] = {}
    for point in points:
        slots.setdefault(int((point[0] - start_s) // slot_s), []).append(point)
    return [
        same[0] if len(same) == 1 else (same[0][0], choose([value for _, value in same]))
        for same in slots.values()
    ]


def _pieces(points: Sequence[Point], gap_s: float) -> Iterable[list[Point]]:
    piece: list[Point] = []
    for point in points:
        if piece and point[0] - piece[-1][0] > gap_s:
            yield piece
            piece = []
        piece.append(point)
    yield piece


def _line(places: Sequence[Point]) -> str:
    """A single point is a short stroke: a path without length is not drawn."""
    head, *tail = [f"{x:.1f} {max(0.0, y):.1f}" for x, y in places]
    return f"M{head}L{'L'.join(tail)}" if tail else f"M{head}h1"

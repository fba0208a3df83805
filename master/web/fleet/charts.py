"""Numbers over time as paths of an SVG: pure, and readable without a script.

A path lies in a box of ``WIDTH`` by ``HEIGHT`` which the page stretches as wide as it has room; the
labels of its axes stand beside it as text, so that they do not shrink on a phone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from master.fleet.readings import GpuReading, Reading
from master.fleet.samples import Sample
from master.web.views import format_size
from tasks.protocol import Hardware
from tasks.record import Record

WIDTH, HEIGHT = 600, 100
#: More points than this are not seen.
MOST_POINTS = 300
#: Longer than so many spans without a sample: the line is broken.
_GAP = 3.0

Point = tuple[datetime, float]
Choose = Callable[[Sequence[float]], float]


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
    #: [x, y, seconds before the end, text] of each point, for a pointer to ask.
    points: tuple[tuple[float, float, int, str], ...] = ()


class Scale(Record):
    """How numbers of a kind are drawn and said."""

    kind: str
    ceiling: float
    say: Callable[[float], str]
    #: One number for several that share a place: their mean, or the highest.
    choose: Choose


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def say_percent(value: float) -> str:
    return f"{value:.0f} %"


def say_mib(value: float) -> str:
    return format_size(round(value) << 20)


def say_degrees(value: float) -> str:
    return f"{value:.0f} °C"


def charts_of(
    hardware: Hardware, samples: Sequence[Sample], *, start: datetime, end: datetime, span_s: int
) -> list[Chart]:
    """What this machine has: its GPUs one after the other, then its processors and memory. A GPU that never
    told a number has no chart of it."""
    found: list[Chart | None] = []
    for number, gpu in enumerate(hardware.gpus):

        def of_gpu(read: Callable[[GpuReading], float | None], number: int = number) -> list[Point]:
            return _points(
                samples, lambda reading: read(reading.gpus[number]) if number < len(reading.gpus) else None
            )

        scales = (
            (Scale(kind="gpu_use", ceiling=100, say=say_percent, choose=mean), lambda g: g.use_pct),
            (
                Scale(kind="gpu_memory", ceiling=gpu.memory_mib, say=say_mib, choose=max),
                lambda g: g.memory_used_mib,
            ),
            (
                Scale(kind="gpu_temperature", ceiling=100, say=say_degrees, choose=max),
                lambda g: g.temperature_c,
            ),
        )
        found += [draw(scale, of_gpu(read), start, end, span_s, gpu=number) for scale, read in scales]
    processors = Scale(kind="cpu", ceiling=100, say=say_percent, choose=mean)
    memory = Scale(kind="memory", ceiling=hardware.memory_mib, say=say_mib, choose=max)
    found.append(draw(processors, _points(samples, lambda reading: reading.cpu_pct), start, end, span_s))
    found.append(draw(memory, _points(samples, lambda reading: reading.memory_used_mib), start, end, span_s))
    return [chart for chart in found if chart is not None]


def draw(
    scale: Scale, points: Sequence[Point], start: datetime, end: datetime, span_s: int, gpu: int | None = None
) -> Chart | None:
    """The chart of these points between two times; None where there are none."""
    within = [(at, value) for at, value in points if start <= at <= end]
    if not within:
        return None
    whole_s = (end - start).total_seconds()
    slot_s = max(float(span_s), whole_s / MOST_POINTS)
    thin = _thin(within, start, slot_s, scale.choose)
    ceiling = max(scale.ceiling, *(value for _, value in thin), 1e-9)
    placed = [
        (
            round((at - start).total_seconds() / whole_s * WIDTH, 1),
            round(HEIGHT - max(0.0, value) / ceiling * HEIGHT, 1),
            int((end - at).total_seconds()),
            scale.say(value),
        )
        for at, value in thin
    ]
    pieces = list(_pieces(placed, _GAP * slot_s))
    return Chart(
        kind=scale.kind,
        gpu=gpu,
        line=" ".join(_line(piece) for piece in pieces),
        area=" ".join(
            f"{_line(piece)} L{piece[-1][0]} {HEIGHT} L{piece[0][0]} {HEIGHT} Z" for piece in pieces
        ),
        top=scale.say(ceiling),
        middle=scale.say(ceiling / 2),
        bottom=scale.say(0) if scale.kind != "memory" and scale.kind != "gpu_memory" else "0",
        newest=scale.say(within[-1][1]),
        highest=scale.say(max(value for _, value in within)),
        points=tuple(placed),
    )


def _points(samples: Iterable[Sample], read: Callable[[Reading], float | None]) -> list[Point]:
    values = ((sample.at, read(sample.reading)) for sample in samples)
    return [(at, float(value)) for at, value in values if value is not None]


def _thin(points: Sequence[Point], start: datetime, slot_s: float, choose: Choose) -> list[Point]:
    slots: dict[int, list[Point]] = {}
    for point in points:
        slots.setdefault(int((point[0] - start).total_seconds() // slot_s), []).append(point)
    return [(same[0][0], choose([value for _, value in same])) for same in slots.values()]


def _pieces(placed: Sequence[Any], gap_s: float) -> Iterable[list[Any]]:
    piece: list[Any] = []
    for point in placed:
        if piece and piece[-1][2] - point[2] > gap_s:
            yield piece
            piece = []
        piece.append(point)
    yield piece


def _line(piece: Sequence[Any]) -> str:
    (x, y, *_), *rest = piece
    # A single point is a short stroke: a path without length is not drawn.
    tail = " ".join(f"L{each[0]} {each[1]}" for each in rest) or f"L{x + 1} {y}"
    return f"M{x} {y} {tail}"

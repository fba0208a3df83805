"""Who did what when: a run's attempts by worker, its questions and its own acts, laid out for a picture. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

_LEFT, _WIDTH, _RIGHT = 150, 850, 16
_TOP, _ROW = 26, 20
#: Nothing is so short that it is not seen.
_NARROWEST = 2.0
#: Rows of one worker at most; what more ran at a time is drawn over the last.
_MOST_ROWS = 8
_STEPS_S = (
    0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400,
    172800, 604800, 2592000,
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
    """Something that someone did for a while."""

    who: str
    what: str
    #: done, running, waiting, or how it failed.
    state: str
    begun: datetime
    #: None: it goes on.
    ended: datetime | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Strip:
    x: float
    y: float
    width: float
    span: Span
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lane:
    who: str
    y: float
    height: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timeline:
    width: float
    height: float
    #: Where the time begins, from the left.
    left: float
    lanes: tuple[Lane, ...]
    strips: tuple[Strip, ...]
    #: x, and the seconds since the beginning that are written there.
    ticks: tuple[tuple[float, float], ...]
    row: int = _ROW


def spans_of(
    attempts: Iterable[Mapping[str, Any]], steps: Iterable[Mapping[str, Any]], *, owner: str
) -> list[Span]:
    """Attempts of workers; and the questions of ``steps``, which wait for ``owner``."""
    found = [
        Span(
            who=each["worker"],
            what=each["key"],
            state=each["outcome"] or "running",
            begun=each["claimed_at"],
            ended=each["ended_at"],
        )
        for each in attempts
    ]
    return found + [
        Span(
            who=owner,
            what=step["key"],
            state=step["state"],
            begun=step["created_at"],
            ended=step["finished_at"],
        )
        for step in steps
        if step["kind"] == "approval"
    ]


def draw_timeline(spans: Sequence[Span], now: datetime) -> Timeline | None:
    """None when nothing has begun. A lane for everyone, with a row for each thing that they did at a time."""
    if not spans:
        return None
    begun = min(span.begun for span in spans)
    ended = max(*(span.ended or now for span in spans), begun)
    whole_s = max((ended - begun).total_seconds(), 0.1)
    lanes, strips, y = [], [], float(_TOP)
    for who in dict.fromkeys(span.who for span in sorted(spans, key=lambda each: each.begun)):
        theirs = sorted((span for span in spans if span.who == who), key=lambda each: each.begun)
        rows = 0
        for row, span in _in_rows(theirs, now):
            seconds = max(((span.ended or now) - span.begun).total_seconds(), 0.0)
            x = _LEFT + _WIDTH * (span.begun - begun).total_seconds() / whole_s
            width = max(_WIDTH * seconds / whole_s, _NARROWEST)
            x = min(x, _LEFT + _WIDTH - _NARROWEST)
            strips.append(
                Strip(x=round(x, 1), y=y + row * _ROW + 3, width=round(width, 1), span=span, seconds=seconds)
            )
            rows = max(rows, row + 1)
        lanes.append(Lane(who=who, y=y, height=rows * _ROW))
        y += rows * _ROW + 6
    return Timeline(
        width=_LEFT + _WIDTH + _RIGHT,
        height=y,
        left=_LEFT,
        lanes=tuple(lanes),
        strips=tuple(strips),
        ticks=tuple((round(_LEFT + _WIDTH * at / whole_s, 1), at) for at in ticks_of(whole_s)),
    )


def _in_rows(spans: Sequence[Span], now: datetime) -> list[tuple[int, Span]]:
    """Each in the first row that is free when it begins."""
    free_at: list[datetime] = []
    found = []
    for span in spans:
        end = span.ended or now
        row = next((number for number, at in enumerate(free_at) if at <= span.begun), len(free_at))
        if row == _MOST_ROWS:
            row -= 1
        if row == len(free_at):
            free_at.append(end)
        else:
            free_at[row] = max(free_at[row], end)
        found.append((row, span))
    return found


def ticks_of(whole_s: float, most: int = 6) -> list[float]:
    """Seconds in round steps from 0 to the whole, at most ``most`` of them after 0."""
    step = next((each for each in _STEPS_S if whole_s / each <= most), whole_s / most)
    return [round(step * number, 3) for number in range(int(whole_s / step + 1e-9) + 1)]

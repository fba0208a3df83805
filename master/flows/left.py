"""How long a run will still take, where what is recorded tells it. Pure; None rather than a guess.

Two things can tell. A flow that counts its work (an evolution, of its budget of evaluations) moves its
progress evenly: what is left takes as long as its latest steps took. Of any other run only the steps
that it has planned are known, and how long their tasks take: that is a part of it, and called so.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from tasks.record import Record

#: Fewer ends than this tell no speed.
_FEWEST = 10
#: Where so little is done, the speed of the rest is not known.
_LEAST_PROGRESS = 0.02
#: A gap so many times the others' mean was a pause: the fleet was off, or somebody was waited for.
_PAUSE = 20.0
_MOST_PAUSES = 3
#: After so many times its usual pace without an end, and no less than so long, it has come to a stand.
_SILENT = 20.0
_SILENT_LEAST = timedelta(minutes=10)


class OpenSteps(Record):
    """Steps of one task that have not ended."""

    task: str
    running: int
    waiting: int
    #: Sum of the running ones' progress, each 0 to 1.
    progress: float = 0.0


class Going(Record):
    """What is known of a run that goes on."""

    #: As the flow tells it, 0 to 1.
    progress: float
    #: Steps that have ended.
    ended: int
    #: When the latest of them ended, oldest first.
    ends: tuple[datetime, ...] = ()
    open: tuple[OpenSteps, ...] = ()


class Left(Record):
    seconds: float
    #: False: of the steps that are planned so far; the flow may ask for more.
    whole: bool


def estimate_left(going: Going, paces: Mapping[str, float], *, counts: bool, now: datetime) -> Left | None:
    """``counts``: the flow's progress is its share of steps like the latest ones. ``paces``: seconds of a
    step by task."""
    if counts:
        return _by_progress(going, now)
    return _by_plan(going, paces)


def _by_progress(going: Going, now: datetime) -> Left | None:
    if len(going.ends) < _FEWEST or not _LEAST_PROGRESS <= going.progress < 1:
        return None
    pace_s = _pace_s(going.ends)
    silent = now - going.ends[-1]
    if silent > _SILENT_LEAST and silent.total_seconds() > _SILENT * pace_s:
        return None
    remaining = going.ended * (1 - going.progress) / going.progress
    return Left(seconds=remaining * pace_s, whole=True)


def _pace_s(ends: Sequence[datetime]) -> float:
    """Seconds from one end to the next, without the pauses."""
    gaps = sorted((after - before).total_seconds() for before, after in itertools.pairwise(ends))
    for _ in range(_MOST_PAUSES):
        rest = gaps[:-1]
        if len(rest) < _FEWEST - 1 - _MOST_PAUSES or gaps[-1] <= _PAUSE * sum(rest) / len(rest):
            break
        gaps = rest
    return sum(gaps) / len(gaps)


def _by_plan(going: Going, paces: Mapping[str, float]) -> Left | None:
    at_once = sum(each.running for each in going.open)
    if not at_once or any(each.task not in paces for each in going.open):
        return None
    work_s = sum((each.waiting + each.running - each.progress) * paces[each.task] for each in going.open)
    return Left(seconds=work_s / at_once, whole=False)

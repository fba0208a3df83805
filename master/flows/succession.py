"""Which steps may have come of which: from when they were asked for and when they ended. Pure.

A flow says nowhere what a step was made of. But a pass knows only the outcomes that were there when it began, so
a step can have come only of steps that ended before the pass that asked for it did. That is an upper bound: what
is later need not rest on all that is earlier.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime

from master.dispatch.states import StepKind

#: Between the key that a step had and its number, once it is set aside: no pass finds it under its key any more.
ASIDE = "#aside-"
#: The same for a question that was withdrawn with its run.
WITHDRAWN = "#withdrawn-"


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepTimes:
    """When a step was asked for and when it ended."""

    id: int
    key: str
    kind: StepKind
    #: When the pass that asked for it was written down: the same for all steps of that pass. Of an act, when it
    #: was done.
    created_at: datetime
    #: None while it is open.
    ended_at: datetime | None


def is_aside(key: str) -> bool:
    """Whether a step of this key stands for nothing any more: another has been asked for in its place."""
    return ASIDE in key or WITHDRAWN in key


def may_rest_on(later: StepTimes, earlier: StepTimes) -> bool:
    """Whether ``later`` may have come of the outcome of ``earlier``."""
    if earlier.ended_at is None or later.id <= earlier.id:
        return False
    if later.created_at != earlier.ended_at:
        return later.created_at > earlier.ended_at
    # In the very same moment: an act has ended when it is written down, other steps end after their pass.
    return earlier.kind is StepKind.ACT or later.created_at != earlier.created_at


def came_of(first: StepTimes, steps: Iterable[StepTimes]) -> list[StepTimes]:
    """All that may have come of ``first``, itself included, in the order in which they were asked for."""
    found = [step for step in steps if step.id == first.id or may_rest_on(step, first)]
    return sorted(found, key=lambda step: step.id)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pass:
    """Steps that were asked for at once."""

    #: 0 for what the run began with; else one more than the latest pass of which it knew an outcome.
    layer: int
    steps: tuple[StepTimes, ...]
    #: The latest outcomes that it knew: what these rest on is not named again.
    rests_on: tuple[StepTimes, ...]


def passes_of(steps: Sequence[StepTimes]) -> list[Pass]:
    """The steps by the pass that asked for them, each with what it can have rested on, in their order.

    Of all that had ended by then, only what no other such step can have rested on is named: the rest follows.
    """
    together: dict[datetime, list[StepTimes]] = {}
    for step in sorted(steps, key=lambda each: each.id):
        together.setdefault(step.created_at, []).append(step)
    waiting = deque(sorted((step for step in steps if step.ended_at is not None), key=_by_end))
    # What a pass knew, all later ones know, too.
    known: list[StepTimes] = []
    layer_of: dict[int, int] = {}
    found = []
    for asked in together.values():
        known += _take_known(waiting, asked[0])
        newest = max((step.created_at for step in known), default=None)
        nearest = itertools.takewhile(lambda step: not _is_behind(step, newest), reversed(known))  # noqa: B023
        layer = 1 + max((layer_of[step.id] for step in known), default=-1)
        layer_of.update((step.id, layer) for step in asked)
        found.append(Pass(layer=layer, steps=tuple(asked), rests_on=tuple(nearest)))
    return found


def _by_end(step: StepTimes) -> tuple[datetime, int]:
    assert step.ended_at is not None
    return step.ended_at, step.id


def _take_known(waiting: deque[StepTimes], asked: StepTimes) -> list[StepTimes]:
    """Takes out of ``waiting``, sorted by their ends, what the pass that asked for ``asked`` knew."""
    known: list[StepTimes] = []
    held: list[StepTimes] = []
    while waiting and _by_end(waiting[0])[0] <= asked.created_at:
        step = waiting.popleft()
        (known if may_rest_on(asked, step) else held).append(step)
    waiting.extendleft(reversed(held))
    return known


def _is_behind(step: StepTimes, newest: datetime | None) -> bool:
    """Whether the newest pass of which something is known had seen the step's outcome: it counts through that."""
    return newest is not None and step.created_at != newest and _by_end(step)[0] <= newest

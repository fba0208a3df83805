"""Which ready steps are sent next, and to which lane. Pure: no database, no broker."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Mapping


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
    step_id: int
    run_id: str
    #: A larger number goes first.
    priority: int
    #: Lanes that can run it, best first.
    lanes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Placed:
    step_id: int
    lane: str


def place(candidates: Iterable[Candidate], free: Mapping[str, int]) -> list[Placed]:
    """Fill the lanes: higher priority first; among equals one step of each run in turn, so that a
    run of ten steps is not kept waiting by a run of ten thousand.

    ``free`` says how many more tickets each lane can take; a lane that has no active worker is not
    in it. A step goes to the best of its lanes that is there; when that lane is full it waits,
    rather than take a place on hardware that suits it less.
    """
    left = dict(free)
    placed: list[Placed] = []
    for group in _by_priority(candidates):
        turns = deque(group.values())
        while turns and any(left.values()):
            queue = turns.popleft()
            lane = _fill_one(queue, left)
            if lane is not None:
                placed.append(lane)
            if queue:
                turns.append(queue)
    return placed


def _fill_one(queue: deque[Candidate], left: dict[str, int]) -> Placed | None:
    candidate = queue.popleft()
    lane = next((lane for lane in candidate.lanes if lane in left), None)
    if lane is None or left[lane] <= 0:
        return None
    left[lane] -= 1
    return Placed(step_id=candidate.step_id, lane=lane)


def _by_priority(candidates: Iterable[Candidate]) -> list[dict[str, deque[Candidate]]]:
    """Groups of equal priority, highest first; in each, the runs with their steps in order."""
    groups: dict[int, dict[str, deque[Candidate]]] = {}
    for candidate in sorted(candidates, key=lambda c: c.step_id):
        runs = groups.setdefault(-candidate.priority, {})
        runs.setdefault(candidate.run_id, deque()).append(candidate)
    return [groups[key] for key in sorted(groups)]

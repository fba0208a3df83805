"""Who is best when there are several scores: fronts and crowding, as NSGA-II has them. Pure.

K. Deb, A. Pratap, S. Agarwal and T. Meyarivan, "A fast and elitist multiobjective genetic algorithm:
NSGA-II", IEEE Transactions on Evolutionary Computation 6 (2002) 182-197. Everything here is the more
the better. ``tests/unit/darwin`` compares fronts and crowding with DEAP's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = Sequence[float]


def dominates(one: Point, other: Point) -> bool:
    """At least as good in everything, and better in something."""
    return all(a >= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def fronts(points: Sequence[Point]) -> list[list[int]]:
    """Indexes of the points: those that nothing dominates, then those that only these dominate, ..."""
    beaten_by = [0] * len(points)
    beats: list[list[int]] = [[] for _ in points]
    for at, one in enumerate(points):
        for other in range(at + 1, len(points)):
            if dominates(one, points[other]):
                beats[at].append(other)
                beaten_by[other] += 1
            elif dominates(points[other], one):
                beats[other].append(at)
                beaten_by[at] += 1
    found: list[list[int]] = []
    front = [at for at, count in enumerate(beaten_by) if not count]
    while front:
        found.append(front)
        following: list[int] = []
        for at in front:
            for other in beats[at]:
                beaten_by[other] -= 1
                if not beaten_by[other]:
                    following.append(other)
        front = sorted(following)
    return found


def crowding(points: Sequence[Point], front: Sequence[int]) -> dict[int, float]:
    """How much room each point of a front has around it; infinite at the ends."""
    room = dict.fromkeys(front, 0.0)
    for axis in range(len(points[front[0]]) if front else 0):
        order = sorted(front, key=lambda at: points[at][axis])
        spread = points[order[-1]][axis] - points[order[0]][axis]
        room[order[0]] = room[order[-1]] = math.inf
        if not spread:
            continue
        for before, at, after in zip(order, order[1:], order[2:], strict=False):
            room[at] += (points[after][axis] - points[before][axis]) / spread
    return room


def ranked(points: Sequence[Point]) -> list[tuple[int, int, float]]:
    """(index, number of its front from 0, crowding), best first; ties by index."""
    found = []
    for number, front in enumerate(fronts(points)):
        room = crowding(points, front)
        found += [(at, number, room[at]) for at in sorted(front, key=lambda at: (-room[at], at))]
    return found


def worst(points: Sequence[Point]) -> int:
    """Who goes when there is one too many: the most crowded of the last front. Of equals, the oldest."""
    last = fronts(points)[-1]
    if len(last) == 1:
        return last[0]
    room = crowding(points, last)
    return min(last, key=lambda at: (room[at], at))


def hypervolume2(points: Sequence[Point], reference: Point) -> float:
    """The area that two scores (the more the better) cover above a reference point."""
    area, height = 0.0, reference[1]
    for x, y in sorted(points, key=lambda point: -point[0]):
        if x > reference[0] and y > height:
            area += (x - reference[0]) * (y - height)
            height = y
    return area

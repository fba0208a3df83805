"""Fronts and crowding are those of DEAP."""

from __future__ import annotations

import random
import warnings
from typing import Any

import pytest

from master.darwin.engines.pareto import crowding, fronts


@pytest.fixture(scope="module")
def deap() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from deap import base, creator, tools
    if not hasattr(creator, "TwoBest"):
        creator.create("TwoBest", base.Fitness, weights=(1.0, 1.0))
        creator.create("Pair", list, fitness=creator.TwoBest)
    return creator.Pair, tools


@pytest.mark.parametrize("seed", range(20))
def test_fronts_and_crowding_are_those_of_deap(deap: Any, seed: int) -> None:
    pair, tools = deap
    rng = random.Random(seed)
    points = [(rng.random(), rng.random()) for _ in range(30)]
    theirs = [pair(point) for point in points]
    for one, point in zip(theirs, points, strict=True):
        one.fitness.values = point

    found = fronts(points)
    ours = [{points[at] for at in front} for front in found]
    assert ours == [{tuple(one) for one in front} for front in tools.sortNondominated(theirs, 30)]
    for front in found:
        members = [theirs[at] for at in front]
        tools.emo.assignCrowdingDist(members)
        room = crowding(points, front)
        # DEAP's are divided by the number of objectives.
        assert [room[at] for at in front] == pytest.approx([2 * one.fitness.crowding_dist for one in members])

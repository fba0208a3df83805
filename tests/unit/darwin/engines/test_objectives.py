"""Several objectives: fronts, and a population that keeps what none beats."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from master.darwin.engines import pareto
from master.darwin.engines.choose import make_engine
from master.darwin.engines.objectives import Objectives
from master.darwin.engines.protocol import Evaluation, Outcome, Trial
from tests.unit.darwin.engines.driving import BITS, drive, rules


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30))
def test_nothing_in_a_front_is_beaten_by_anything_in_it_or_below(points: list[tuple[int, int]]) -> None:
    found = pareto.fronts(points)

    assert sorted(at for front in found for at in front) == list(range(len(points)))
    for number, front in enumerate(found):
        below = [at for later in found[number:] for at in later]
        assert not any(pareto.dominates(points[other], points[at]) for at in front for other in below)
        if number:
            before = found[number - 1]
            assert all(any(pareto.dominates(points[other], points[at]) for other in before) for at in front)


def test_several_objectives_keep_what_none_beats() -> None:
    def both(trial: Trial[Any]) -> Outcome:
        total = sum(trial.candidate.genome)
        return Evaluation(scores=(float(total),), objectives=(float(total), float(-total)))

    engine = make_engine("steady", BITS, rules(objectives=Objectives.GIVEN), None)
    drive(engine, both, random.Random(2))

    totals = {sum(one.candidate.genome) for one in engine.best()}
    assert len(totals) >= 5, "all of them trade one for the other, so they spread"

"""CMA-ES behind asks and tells."""

from __future__ import annotations

import json
import random
from typing import Any

from master.darwin.engines.cma_es import CmaEs
from master.darwin.engines.protocol import Evaluation, Failed, Outcome, Proposed, Trial, Wish
from master.darwin.engines.replay import replay
from tests.unit.darwin.engines.driving import REALS, Log, drive, rules


def _cma_proposal(wish: Wish) -> Proposed:
    """Stands in for the library: vectors that depend on everything that was told."""
    chance = random.Random(json.dumps(wish.request))
    return Proposed(genomes=tuple([chance.uniform(-5, 5) for _ in range(3)] for _ in range(6)))


def _drive_cma(engine: CmaEs, chance: random.Random, fails: float = 0.0) -> Log:
    """All that may be asked is open at once; so many trials fail."""

    def judge(trial: Trial[Any]) -> Outcome:
        if chance.random() < fails:
            return Failed(error="no")
        return Evaluation(scores=(-sum(one * one for one in trial.candidate.genome),))

    return drive(engine, judge, chance, grant=_cma_proposal, parallel=10_000)


def test_cma_plays_back_goes_on_from_a_snapshot_and_keeps_to_its_budget() -> None:
    engine = CmaEs(REALS, rules(budget=50), 0.3)
    log = _drive_cma(engine, random.Random(1))
    again = CmaEs(REALS, rules(budget=50), 0.3)
    replay(again, log)

    assert engine.spent == 50
    assert again.snapshot() == engine.snapshot()
    taken_up = CmaEs.restore(REALS, rules(budget=90), 0.3, json.loads(json.dumps(engine.snapshot())))
    _drive_cma(taken_up, random.Random(2))
    assert taken_up.spent == 90


def test_a_vector_that_failed_ranks_last_and_is_not_scored() -> None:
    engine = CmaEs(REALS, rules(budget=60), 0.3)
    _drive_cma(engine, random.Random(3), fails=0.3)

    assert engine.failures
    assert not {one.candidate.number for one in engine.best()} & set(engine.failures)
    assert engine.spent == 60

"""Engines driven by hand: asks kept open, answered in an order of chance."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from master.darwin.engines.protocol import Engine, Evaluation, Outcome, Proposed, Trial, Wish
from master.darwin.engines.rules import Rules
from master.darwin.engines.vector import Space, VectorVariation

BITS = VectorVariation(Space(size=16, whole=True))
REALS = VectorVariation(Space(size=3, low=-5, high=5))
NAMES = ("steady", "generational")
BLOCKS = ((0, 1), (2, 3), (4, 5))
Judge = Callable[[Trial[Any]], Outcome]
Grant = Callable[[Wish], Outcome]
#: As ``replay`` plays it back: ask, how many answers came before it was asked, its answer.
Log = list[tuple[int, int, Outcome]]


def ones(trial: Trial[Any]) -> Outcome:
    return Evaluation(scores=tuple(float(sum(trial.candidate.genome)) for _ in trial.examples))


def nothing(wish: Wish) -> Outcome:
    return Proposed(genomes=())


def drive(
    engine: Engine[Any],
    judge: Judge,
    chance: random.Random,
    *,
    grant: Grant = nothing,
    parallel: int = 4,
    most: int = 10_000,
) -> Log:
    """Keep ``parallel`` asks open, answer them in an order of chance."""
    open_asks: list[tuple[Any, int]] = []
    log: Log = []
    while len(log) < most:
        while len(open_asks) < parallel and (ask := engine.ask()) is not None:
            open_asks.append((ask, len(log)))
        if not open_asks:
            break
        ask, after = open_asks.pop(chance.randrange(len(open_asks)))
        outcome = grant(ask) if isinstance(ask, Wish) else judge(ask)
        engine.tell(ask.number, outcome)
        log.append((ask.number, after, outcome))
    return log


def rules(**changes: Any) -> Rules:
    return Rules(**{"seed": 1, "budget": 80, "population": 6, **changes})

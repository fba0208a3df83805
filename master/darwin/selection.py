"""Who survives and who breeds. Pure.

Every genome of a run answers the same selection examples, so differences between two are
differences between them and not between their examples.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Iterable, Sequence

from master.darwin.genome import Individual
from tasks.darwin_evaluate import Outcome


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a genome did on a set of examples: all of them, or it is no evaluation."""

    #: By example id, ascending.
    outcomes: tuple[Outcome, ...]
    prompt_tokens: int
    seconds: float

    @property
    def correct(self) -> tuple[bool, ...]:
        return tuple(outcome.correct for outcome in self.outcomes)

    @property
    def right(self) -> int:
        return sum(self.correct)

    @property
    def accuracy(self) -> float:
        return self.right / len(self.outcomes)

    @property
    def score(self) -> float:
        """Mean score: the accuracy, where answers are right or wrong."""
        return math.fsum(outcome.score for outcome in self.outcomes) / len(self.outcomes)

    @property
    def loss(self) -> float:
        """Mean negative log-probability of the expected labels, in nats."""
        return sum(outcome.loss for outcome in self.outcomes) / len(self.outcomes)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ranked:
    """An individual that was evaluated."""

    individual: Individual
    evaluation: Evaluation


def rank(evaluated: Iterable[Ranked]) -> list[Ranked]:
    """Best first: a higher score, then more probability on them, then fewer tokens.

    The last key is the genome's digest: any order would do, but it must be the same every time.
    """
    return sorted(
        evaluated,
        key=lambda one: (
            -one.evaluation.score,
            one.evaluation.loss,
            one.evaluation.prompt_tokens,
            one.individual.digest,
        ),
    )


def elites(ranked: Sequence[Ranked], count: int) -> list[Ranked]:
    """The best ``count`` different genomes."""
    chosen: dict[str, Ranked] = {}
    for one in ranked:
        if len(chosen) < count:
            chosen.setdefault(one.individual.digest, one)
    return list(chosen.values())


def tournament(ranked: Sequence[Ranked], size: int, rng: random.Random) -> Ranked:
    """The best of ``size`` drawn at random (with replacement). ``ranked`` is best first."""
    return ranked[min(rng.randrange(len(ranked)) for _ in range(size))]

"""From parents to a child that is new. Pure: chance comes from (seed, ask number)."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from master.darwin.engines.protocol import Candidate, Variation

G = TypeVar("G")
T = TypeVar("T")

#: Attempts at a child that is not known before a newcomer is taken.
_TRIES = 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Breeding:
    """How children are made."""

    #: The best of so many drawn at random is a parent.
    tournament: int = 3
    #: Chance that a child has two parents.
    crossover: float = 0.8
    #: Chance that a child of two parents is not mutated, too, if it differs from both.
    pure_cross: float = 0.5
    #: Chance of each further mutation after the first; their number is geometric.
    more_mutations: float = 0.0


def tournament(ranked: Sequence[T], size: int, rng: random.Random) -> T:
    """The best of ``size`` drawn with replacement. ``ranked`` is best first."""
    return ranked[min(rng.randrange(len(ranked)) for _ in range(size))]


def child(
    number: int,
    choose: Callable[[random.Random], Candidate[G]],
    known: Callable[[str], bool],
    variation: Variation[G],
    breeding: Breeding,
    rng: random.Random,
) -> Candidate[G]:
    """A candidate whose genome is not known, made from those that ``choose`` chooses."""
    for _ in range(_TRIES):
        made = _bred(number, choose(rng), choose(rng), variation, breeding, rng)
        if not known(made.digest):
            return made
    genome = variation.newcomer(rng)
    return Candidate(
        number=number,
        genome=genome,
        digest=variation.digest(genome),
        parents=(),
        operators=("newcomer",),
    )


def _bred(
    number: int,
    mother: Candidate[G],
    father: Candidate[G],
    variation: Variation[G],
    breeding: Breeding,
    rng: random.Random,
) -> Candidate[G]:
    genome = mother.genome
    parents: tuple[int, ...] = (mother.number,)
    operators: list[str] = []
    if father.digest != mother.digest and rng.random() < breeding.crossover:
        genome = variation.cross(mother.genome, father.genome, rng)
        parents = (mother.number, father.number)
        operators.append("cross")
    pure = bool(operators) and rng.random() < breeding.pure_cross
    mutating = not pure or variation.digest(genome) in (mother.digest, father.digest)
    while mutating:
        genome, names = variation.mutate(genome, rng)
        operators.extend(names)
        mutating = rng.random() < breeding.more_mutations
    return Candidate(
        number=number,
        genome=genome,
        digest=variation.digest(genome),
        parents=parents,
        operators=tuple(operators),
    )

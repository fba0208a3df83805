"""A generational genetic algorithm: from a ranked generation to the next. Pure and seeded.

All chance comes from (seed, generation, place), never from the order in which answers arrived, so
a run that was interrupted breeds the same children when it goes on.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Collection, Sequence

from master.darwin.chance import source
from master.darwin.genome import Individual, Space, random_seed
from master.darwin.operators import crossover, mutate
from master.darwin.selection import Ranked, elites, tournament
from tasks.darwin_genome import Genome, digest

#: Attempts at a child that the run has not seen before accepting a random newcomer.
_TRIES = 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rules:
    population: int
    seed: int
    elites: int = 2
    tournament: int = 3
    #: Chance that a child has two parents.
    crossover: float = 0.6
    #: Chance of each further mutation after the first; their number is geometric.
    more_mutations: float = 0.5


def breed(
    ranked: Sequence[Ranked], tried: Collection[str], generation: int, space: Space, rules: Rules
) -> list[Individual]:
    """The individuals of ``generation``: the elites of all so far, unchanged, then children.

    ``ranked`` holds every individual evaluated so far, best first, and at least one. ``tried`` are
    the digests of all genomes that were evaluated or failed: none of them is bred again.
    """
    kept = elites(ranked, min(rules.elites, rules.population - 1))
    brood = [one.individual for one in kept]
    known = set(tried)
    # Parents are the best of all generations, each genome once: a run's population is what it
    # remembers, and evaluations of the same examples stay comparable for ever.
    parents = elites(ranked, rules.population)
    for number in range(len(brood), rules.population):
        child = _child(parents, known, generation, number, space, rules)
        known.add(child.digest)
        brood.append(child)
    return brood


def _child(
    parents: Sequence[Ranked], known: set[str], generation: int, number: int, space: Space, rules: Rules
) -> Individual:
    rng = source(rules.seed, "breed", generation, number)
    for _ in range(_TRIES):
        child = _bred(parents, f"g{generation}i{number}", generation, space, rules, rng)
        if child.digest not in known:
            return child
    return Individual(
        id=f"g{generation}i{number}",
        generation=generation,
        genome=random_seed(space, rng, rng.randrange(4)),
        parents=(),
        operators=("newcomer",),
    )


def _bred(
    parents: Sequence[Ranked], name: str, generation: int, space: Space, rules: Rules, rng: random.Random
) -> Individual:
    mother = tournament(parents, rules.tournament, rng).individual
    father = tournament(parents, rules.tournament, rng).individual
    genome: Genome = mother.genome
    names: tuple[str, ...] = (mother.id,)
    operators: list[str] = []
    if digest(father.genome) != digest(mother.genome) and rng.random() < rules.crossover:
        genome = crossover(mother.genome, father.genome, rng)
        names = (mother.id, father.id)
        operators.append("crossover")
    mutating = True
    while mutating:
        genome, operator = mutate(genome, space, rng)
        operators.append(operator)
        mutating = rng.random() < rules.more_mutations
    return Individual(
        id=name, generation=generation, genome=genome, parents=names, operators=tuple(operators)
    )

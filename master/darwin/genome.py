"""Individuals of a population, and the seeds that evolution starts from. Pure."""

from __future__ import annotations

import dataclasses
import functools
import random

from master.darwin import bank
from master.darwin.chance import source
from tasks.darwin_genome import Corpus, Demonstrations, Genome, Scoring, digest

#: Demonstrations that a person would paste into a first prompt, at most.
_SEED_DEMONSTRATIONS = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Individual:
    """A genome with its place in the family tree."""

    #: "g2i5": the fifth individual of generation 2. Unique within a run.
    id: str
    generation: int
    genome: Genome
    parents: tuple[str, ...]
    #: Names of the operators that made it from its parents; ("seed",) for the first generation.
    operators: tuple[str, ...]

    @functools.cached_property
    def digest(self) -> str:
        return digest(self.genome)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Space:
    """What genomes may be made of in this run."""

    labels: tuple[str, ...]
    #: Ids of the pool's examples with their labels.
    pool: tuple[tuple[int, str], ...]

    @property
    def pool_ids(self) -> tuple[int, ...]:
        return tuple(at for at, _ in self.pool)


def space_of(corpus: Corpus) -> Space:
    return Space(
        labels=corpus.labels,
        pool=tuple((at, corpus.examples[at].label) for at in corpus.ids("pool")),
    )


def random_seed(space: Space, rng: random.Random, demonstrations: int) -> Genome:
    """A first prompt as somebody in a hurry writes it: common words, a few examples at random.

    No retrieval, no calibration: finding those is evolution's work.
    """
    fixed = tuple(rng.sample(space.pool_ids, min(demonstrations, len(space.pool_ids))))
    return Genome(
        role=rng.choice(bank.ROLES),
        instruction=rng.choice(bank.INSTRUCTIONS[1:]),
        layout=rng.choice(bank.LAYOUTS),
        label_words=bank.words_as_given(space.labels),
        demonstrations=Demonstrations(fixed=fixed),
        scoring=Scoring(),
    )


def seed_population(space: Space, size: int, seed: int) -> list[Individual]:
    """Generation 0: different genomes, with none to three demonstrations by turns."""
    population: list[Individual] = []
    seen: set[str] = set()
    for number in range(size):
        rng = source(seed, "seed", number)
        genome = random_seed(space, rng, number % (_SEED_DEMONSTRATIONS + 1))
        for _ in range(20):
            if digest(genome) not in seen:
                break
            genome = random_seed(space, rng, number % (_SEED_DEMONSTRATIONS + 1))
        seen.add(digest(genome))
        population.append(
            Individual(id=f"g0i{number}", generation=0, genome=genome, parents=(), operators=("seed",))
        )
    return population

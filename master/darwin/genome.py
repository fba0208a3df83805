"""What text genomes may be made of in a run, and the first ones. Pure."""

from __future__ import annotations

import dataclasses
import random

from master.darwin import bank
from master.darwin.chance import source
from master.darwin.phrasings import PHRASINGS, Phrasings
from tasks.darwin_genome import Corpus, Demonstrations, Genome, Kind, Sampling, Scoring, digest
from tasks.darwin_prompt import fields_of

#: Demonstrations that a person would paste into a first prompt, at most.
_SEED_DEMONSTRATIONS = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Space:
    """What genomes may be made of in this run."""

    labels: tuple[str, ...]
    #: Ids of the pool's examples with their labels; "" where nothing is classified.
    pool: tuple[tuple[int, str], ...]
    kind: Kind = "classify"
    #: Tokens that the longest expected output may take.
    most_tokens: int = 64
    #: "extract": names of the object's fields.
    fields: tuple[str, ...] = ()

    @property
    def pool_ids(self) -> tuple[int, ...]:
        return tuple(at for at, _ in self.pool)

    @property
    def phrasings(self) -> Phrasings:
        return PHRASINGS[self.kind]


def space_of(corpus: Corpus) -> Space:
    pool = corpus.ids("pool")
    longest = max((len(corpus.examples[at].expected) for at in pool), default=0)
    return Space(
        labels=corpus.labels,
        pool=tuple((at, corpus.examples[at].expected if corpus.labels else "") for at in pool),
        kind=corpus.kind,
        # A token is seldom shorter than two characters; JSON's marks are the exception.
        most_tokens=min(2048, max(16, longest // 2 + 16)),
        fields=fields_of(corpus),
    )


def random_seed(space: Space, rng: random.Random, demonstrations: int) -> Genome:
    """A first prompt as somebody in a hurry writes it: common words, a few examples at random.

    No retrieval, no calibration: finding those is evolution's work.
    """
    fixed = tuple(rng.sample(space.pool_ids, min(demonstrations, len(space.pool_ids))))
    return Genome(
        role=rng.choice(space.phrasings.roles),
        instruction=rng.choice(space.phrasings.instructions[1:]),
        layout=rng.choice(space.phrasings.layouts),
        label_words=bank.words_as_given(space.labels),
        demonstrations=Demonstrations(fixed=fixed),
        scoring=Scoring(),
        sampling=Sampling(max_new_tokens=space.most_tokens),
    )


def seed_genomes(space: Space, count: int, seed: int) -> list[Genome]:
    """First prompts, all different, with none to three demonstrations by turns."""
    genomes: list[Genome] = []
    seen: set[str] = set()
    for number in range(count):
        rng = source(seed, "seed", number)
        genome = random_seed(space, rng, number % (_SEED_DEMONSTRATIONS + 1))
        for _ in range(20):
            if digest(genome) not in seen:
                break
            genome = random_seed(space, rng, number % (_SEED_DEMONSTRATIONS + 1))
        seen.add(digest(genome))
        genomes.append(genome)
    return genomes

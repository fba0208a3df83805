from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.darwin.bank import word_styles
from master.darwin.demonstrations import cross_demonstrations
from master.darwin.genome import Space, seed_genomes
from master.darwin.operators import MUTATIONS, crossover, mutate
from tasks.darwin_genome import KINDS, MAX_DEMONSTRATIONS, Demonstrations, Genome, Sampling, digest

LABELS = ("booking", "opening hours", "opening_day", "refund")
SPACE = Space(labels=LABELS, pool=tuple((at, LABELS[at % 4]) for at in range(0, 60, 2)))
SPACES = [
    SPACE,
    *(Space(labels=(), pool=tuple((at, "") for at in range(30)), kind=kind) for kind in KINDS[1:]),
]


@given(st.integers(0, 2**32), st.integers(1, 60), st.sampled_from(SPACES))
def test_any_chain_of_mutations_gives_a_valid_genome(seed: int, length: int, space: Space) -> None:
    rng = random.Random(seed)
    genome = seed_genomes(space, 4, seed)[seed % 4]
    for _ in range(length):
        genome, name = mutate(genome, space, rng)
        assert name in MUTATIONS[space.kind]
        # What model_copy lets pass must still satisfy every rule of the record.
        assert Genome.model_validate(genome.model_dump()) == genome
        assert set(genome.demonstrations.fixed) <= set(space.pool_ids)


@given(st.integers(0, 2**32))
def test_a_child_of_two_has_each_segment_whole_from_one_of_them(seed: int) -> None:
    first, second = seed_genomes(SPACE, 2, seed)
    child = crossover(first, second, random.Random(seed))

    assert Genome.model_validate(child.model_dump()) == child
    for segment in ("role", "instruction", "layout", "demonstrations", "scoring"):
        assert getattr(child, segment) in (getattr(first, segment), getattr(second, segment))


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.kind)
def test_every_mutation_can_change_a_genome(space: Space) -> None:
    start = seed_genomes(space, 4, 0)[3]
    start = start.model_copy(
        update={
            "instruction": "Read it. Then answer.",
            "demonstrations": start.demonstrations.model_copy(update={"retrieved": 3}),
            "sampling": Sampling(temperature=0.5),
        }
    )

    for name, (mutation, _) in MUTATIONS[space.kind].items():
        changed = {digest(mutation(start, space, random.Random(at))) for at in range(20)}
        assert changed - {digest(start)}, name


def test_mixed_demonstrations_come_from_both_parents() -> None:
    first, second = (Demonstrations(fixed=fixed) for fixed in ((0, 2, 4, 6), (8, 10, 12, 14)))
    mixed = [cross_demonstrations(first, second, random.Random(at)).fixed for at in range(40)]

    assert any(set(one) & set(first.fixed) and set(one) & set(second.fixed) for one in mixed)
    assert {first.fixed, second.fixed} <= set(mixed)


def test_the_number_of_demonstrations_stays_within_what_a_prompt_may_carry() -> None:
    genome = seed_genomes(SPACE, 1, 0)[0]
    rng = random.Random(0)
    for _ in range(30):
        genome = MUTATIONS["classify"]["demonstration_add"][0](genome, SPACE, rng)
        genome = MUTATIONS["classify"]["retrieve_count"][0](genome, SPACE, rng)
        shown = genome.demonstrations
        assert len(shown.fixed) + shown.retrieved <= MAX_DEMONSTRATIONS


def test_seeds_differ_and_use_nothing_that_evolution_is_to_find() -> None:
    seeds = seed_genomes(SPACE, 12, 5)

    assert len({digest(one) for one in seeds}) == 12
    assert all(one.demonstrations.retrieved == 0 and one.scoring.calibration == 0 for one in seeds)


def test_label_words_that_would_make_two_labels_alike_are_not_offered() -> None:
    for style in word_styles(("opening hours", "opening day", "Refund", "refund")):
        assert len(set(style)) == 4, style

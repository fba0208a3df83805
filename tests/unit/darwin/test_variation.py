from __future__ import annotations

import random

import pytest

from master.darwin.engines.protocol import Variation
from master.darwin.genome import Space
from master.darwin.variation import TextVariation
from tasks.darwin_genome import Corpus, Demonstrations, Example, Genome
from tasks.errors import InvalidInput

SPACE = Space(labels=("no", "yes"), pool=tuple((at, ("no", "yes")[at % 2]) for at in range(20)))
CORPUS = Corpus(
    labels=("no", "yes"),
    examples=tuple(
        Example(input=f"text {at}", expected=("no", "yes")[at % 2], split="pool") for at in range(20)
    ),
)
VARIATION: Variation[Genome] = TextVariation(SPACE, CORPUS)


def test_seeds_are_different_and_the_same_for_the_same_seed() -> None:
    seeds = VARIATION.seeds(12, 3)

    assert len({VARIATION.digest(one) for one in seeds}) == 12
    assert VARIATION.seeds(12, 3) == seeds != VARIATION.seeds(12, 4)


def test_a_mutation_changes_something_and_says_what() -> None:
    genome = VARIATION.seeds(1, 0)[0]
    for seed in range(50):
        changed, names = VARIATION.mutate(genome, random.Random(seed))
        assert changed != genome
        assert names
        assert VARIATION.mutate(genome, random.Random(seed)) == (changed, names)


def test_a_mutation_that_changed_nothing_is_not_named() -> None:
    genome = VARIATION.seeds(1, 0)[0]
    assert genome.demonstrations.retrieved == 0
    for seed in range(400):
        _, names = VARIATION.mutate(genome, random.Random(seed))
        # There is no order of neighbors to change before there are neighbors.
        assert "retrieve_order" not in names or "retrieve_count" in names[: names.index("retrieve_order")]


def test_a_genome_survives_its_way_through_json() -> None:
    genome, _ = VARIATION.mutate(VARIATION.seeds(4, 1)[3], random.Random(0))

    assert VARIATION.load(VARIATION.dump(genome)) == genome


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"instruction": 3}, "not a genome: instruction: Input should be a valid string"),
        ({"label_words": ["a", "b", "c"]}, "it has 3 label words and the data set 2 labels"),
        ({"demonstrations": {"fixed": [40]}}, r"the examples \[40\] may not be shown"),
        ({"order": ["role"]}, "must name each of"),
        ({"surprise": 1}, "surprise: Extra inputs"),
    ],
)
def test_what_is_no_genome_of_this_run_is_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        VARIATION.load({**VARIATION.dump(VARIATION.newcomer(random.Random(0))), **change})


def test_a_difference_shows_the_lines_that_changed_with_the_examples_texts() -> None:
    parent = Genome(
        label_words=("no", "yes"), instruction="Answer.", demonstrations=Demonstrations(fixed=(3,))
    )
    child = parent.model_copy(
        update={"instruction": "Answer well.", "demonstrations": Demonstrations(fixed=(3, 4))}
    )

    told = VARIATION.describe_difference(parent, child).split("\n")
    assert [line for line in told if line[:1] in "+-"] == [
        "- instruction: Answer.",
        "+ instruction: Answer well.",
        "+ example: text 4 -> no",
    ]
    assert "  example: text 3 -> yes" in told
    assert VARIATION.describe_difference(parent, parent) == ""

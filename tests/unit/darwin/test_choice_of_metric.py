from __future__ import annotations

import random

import pytest

from master.darwin.metrics import compare_held_out, metric_name
from tasks.darwin_evaluate import Outcome
from tasks.darwin_genome import Corpus, Example
from tasks.errors import InvalidInput

LABELS = ["often"] * 30 + ["rare"] * 10
CORPUS = Corpus(
    labels=("often", "rare"),
    examples=tuple(
        Example(input=f"text {at}", expected=label, split="held_out") for at, label in enumerate(LABELS)
    ),
)


def outcomes(answers: list[str]) -> list[Outcome]:
    return [
        Outcome(example=at, answer=answer, score=float(answer == LABELS[at]))
        for at, answer in enumerate(answers)
    ]


ALL_OFTEN = outcomes(["often"] * 40)
RIGHT = outcomes(LABELS)


def test_each_kind_of_task_has_its_usual_metric_and_says_which_others() -> None:
    assert metric_name("", "classify") == "accuracy"
    assert metric_name("macro-f1", "classify") == "macro_f1"
    with pytest.raises(
        InvalidInput, match=r"'token_f1' cannot be used .* classify: it is for the task answer"
    ):
        metric_name("token_f1", "classify")
    with pytest.raises(InvalidInput, match=r"'bleu' .*: there is none of that name\. Use closeness"):
        metric_name("bleu", "score")


def test_the_held_out_comparison_is_by_the_runs_own_metric() -> None:
    by_accuracy = compare_held_out("accuracy", CORPUS, ALL_OFTEN, RIGHT, random.Random(0))
    by_f1 = compare_held_out("macro_f1", CORPUS, ALL_OFTEN, RIGHT, random.Random(0))

    assert (by_accuracy.test, by_f1.test) == ("mcnemar", "randomization")
    assert by_f1.best.value == 1.0
    assert by_f1.gain > by_accuracy.gain == 0.25


def test_an_example_that_only_one_has_answered_is_left_out() -> None:
    found = compare_held_out("accuracy", CORPUS, ALL_OFTEN[:35], RIGHT[5:], random.Random(0))

    assert found.seed.examples == found.best.examples == 30
    with pytest.raises(ValueError, match="nothing to"):
        compare_held_out("macro_f1", CORPUS, ALL_OFTEN[:5], RIGHT[5:], random.Random(0))

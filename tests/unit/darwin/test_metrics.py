from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.darwin_genome import KINDS, Corpus, Example
from tasks.darwin_metrics import (
    METRICS,
    Metric,
    closeness,
    json_fields,
    macro_f1,
    normalize,
    number_in,
    object_in,
    score_answer,
    similarity,
    token_f1,
)

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"name": {"type": "string"}, "items": {"type": "array"}, "paid": {"type": "boolean"}},
        "required": ["name"],
    }
)
EXPECTED = json.dumps({"name": "Ana", "items": ["bread", "milk"], "paid": True})


def test_every_kind_of_task_has_metrics_and_can_have_the_owners() -> None:
    assert set(METRICS) == set(KINDS)
    assert all("own" in names for names in METRICS.values())


@pytest.mark.parametrize(
    ("expected", "answer", "score"),
    [
        # By hand from the definition in arXiv:1606.05250, section 6.1.
        ("The Eiffel Tower", "eiffel tower!", 1.0),
        ("Denver Broncos", "the Broncos", 2 * 1 / (2 + 1)),
        ("in the year 1066", "1066 AD", 2 * 1 / (3 + 2)),
        ("a b", "b b", 1.0 * 2 * 1 / (1 + 2)),
        ("Paris", "London", 0.0),
        ("Paris", "", 0.0),
        ("¿Mañana?", "mañana", 1.0),
    ],
)
def test_token_f1_counts_shared_words(expected: str, answer: str, score: float) -> None:
    assert token_f1(expected, answer) == pytest.approx(score)


@given(st.text(max_size=30), st.text(max_size=30))
def test_token_f1_is_symmetric_and_one_for_the_same(first: str, second: str) -> None:
    assert 0 <= token_f1(first, second) == token_f1(second, first) <= 1
    assert token_f1(first, first) == 1.0


def test_composed_and_decomposed_accents_are_the_same_text() -> None:
    assert normalize("Jose\u0301") == normalize("José")


def test_the_best_of_several_right_answers_counts() -> None:
    example = Example(input="q", expected="United States", also=("USA",), split="selection")
    corpus = Corpus(kind="answer", examples=(example,))

    assert score_answer("exact_match", corpus, example, "usa.") == 1.0
    assert score_answer("token_f1", corpus, example, "the USA") == 1.0
    assert score_answer("exact_match", corpus, example, "Canada") == 0.0


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        (EXPECTED, 1.0),
        ('Here it is: {"paid": true, "items": ["milk", "Bread."], "name": "ana"} Bye', 1.0),
        ('{"name": "Ana"}', 0.5 + 0.5 * 2 * 1 / (4 + 1)),
        ('{"items": ["bread"]}', 0.5 * 2 * 1 / (4 + 1)),
        ('{"name": "Ana", "items": ["bread", "milk"], "paid": 1}', 0.5 * 2 * 3 / (4 + 4)),
        ("Ana", 0.0),
        ('["name"]', 0.0),
        ('{"name": "Ana"', 0.0),
    ],
)
def test_extracted_objects_are_scored_by_validity_and_fields(answer: str, score: float) -> None:
    assert json_fields(SCHEMA, EXPECTED, answer) == pytest.approx(score)


def test_deep_nonsense_is_no_object() -> None:
    assert object_in('{"a":' * 100_000 + "}") is None


@pytest.mark.parametrize(
    ("answer", "number"),
    [("4", 4.0), ("about 3,5 stars", 3.5), ("-2", -2.0), ("1e3", 1000.0), ("none", None), ("9e999", None)],
)
def test_the_first_number_of_an_answer_counts(answer: str, number: float | None) -> None:
    assert number_in(answer) == number


def test_closeness_falls_with_the_share_of_the_range() -> None:
    assert closeness(3.0, "4", 4.0) == 0.75
    assert closeness(3.0, "three", 4.0) == 0.0
    assert closeness(1.0, "50", 4.0) == 0.0


def test_macro_f1_is_the_mean_of_the_labels_own() -> None:
    pairs = [("a", "a"), ("a", "b"), ("b", "b"), ("b", "b"), ("b", "c")]

    # a: P 1/1, R 1/2 -> 2/3; b: P 2/3, R 2/3 -> 2/3. "c" is never expected.
    assert macro_f1(pairs) == pytest.approx((2 / 3 + 2 / 3) / 2)
    with pytest.raises(ValueError, match="no example"):
        macro_f1([])


def test_opposite_meanings_are_worth_nothing_rather_than_less() -> None:
    assert similarity([1.0, 0.0], [-1.0, 0.0]) == 0.0
    assert similarity([0.6, 0.8], [0.6, 0.8]) == pytest.approx(1.0)


def test_only_the_owners_own_metric_has_a_source() -> None:
    with pytest.raises(ValueError, match="belongs to the metric 'own'"):
        Metric(name="own")
    with pytest.raises(ValueError, match="belongs to the metric 'own'"):
        Metric(name="accuracy", source="a" * 64)

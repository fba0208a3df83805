"""The worker's side: grouping, intent, growth and seasons."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest

from tasks import niche_analyse, niche_group
from tasks.errors import PermanentFailure
from tasks.niche_analyse import Keyword
from tests.unit.niches.fakes import FakeContext
from worker.handlers import niche_analyse as analyse
from worker.handlers import niche_group as group
from worker.handlers.niche_intents import combine, model_probabilities, rule_intent, rule_probabilities, top
from worker.handlers.niche_seasons import growth, monthly_totals, seasons
from worker.handlers.niche_words import subject
from worker.models.protocol import Scored

SUBJECTS = {
    "placas solares": [
        "placas solares",
        "placas solares precio",
        "instalar placas solares",
        "kit placas solares",
    ],
    "pilates": ["pilates reformer", "clases de pilates", "pilates cerca de mi", "pilates madrid"],
    "queso": ["queso artesano", "comprar queso artesano", "queso curado", "quesos"],
}
TEXTS = [text for texts in SUBJECTS.values() for text in texts]


def grouped(texts: list[str], **fields: object) -> niche_group.Result:
    data = np.eye(len(texts), 64, dtype="<f4").tobytes()
    digest = hashlib.sha256(data).hexdigest()
    request = niche_group.Request.model_validate(
        {"texts": texts, "weights": [100] * len(texts), "vectors": digest, "dimensions": 64, **fields}
    )
    return group.handle(request, FakeContext({digest: data}))


def members(result: niche_group.Result, texts: list[str]) -> set[frozenset[str]]:
    return {frozenset(texts[index] for index in one.members) for one in result.groups}


def test_keywords_of_one_subject_come_together() -> None:
    result = grouped(TEXTS, max_distance=0.9)
    assert members(result, TEXTS) == {frozenset(texts) for texts in SUBJECTS.values()}
    assert result.left_over == ()


def test_groups_do_not_depend_on_the_order_of_keywords() -> None:
    shuffled = random.Random(3).sample(TEXTS, len(TEXTS))
    assert members(grouped(shuffled), shuffled) == members(grouped(TEXTS), TEXTS)


def test_every_keyword_is_in_one_group_or_left_over() -> None:
    texts = [*TEXTS, "beckham law", "xyz"]
    result = grouped(texts, max_distance=0.9)
    seen = [index for one in result.groups for index in one.members] + list(result.left_over)
    assert sorted(seen) == list(range(len(texts)))
    assert {texts[index] for index in result.left_over} == {"beckham law", "xyz"}


def test_a_label_is_a_subject_rather_than_a_price_or_a_question() -> None:
    texts = ["que son placas solares", "placas solares precio", "placas solares", "ikea placas solares"]
    (only,) = grouped(texts, max_distance=0.95).groups
    assert texts[only.label] == "placas solares"


def test_one_keyword_alone_is_its_own_group_where_that_is_wanted() -> None:
    assert len(grouped(["pan"], min_keywords=1).groups) == 1
    assert grouped(["pan"]).left_over == (0,)


def test_vectors_of_another_size_are_refused() -> None:
    request = niche_group.Request(texts=("a",), weights=(1,), vectors="0" * 64, dimensions=64)
    with pytest.raises(PermanentFailure, match="12 bytes"):
        group.handle(request, FakeContext({"0" * 64: b"x" * 12}))


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("qué es la dieta barf", "informational"),
        ("cuánto cuesta una boda", "informational"),
        ("mejor colchón", "commercial"),
        ("comprar café online", "transactional"),
        ("pilates cerca de mí", "transactional"),
        ("holded login", "navigational"),
        ("placas solares", ""),
        ("comparsa", ""),
    ],
)
def test_telling_words_speak_for_an_intent(text: str, intent: str) -> None:
    assert rule_intent(text) == intent


def test_modifiers_are_not_the_subject() -> None:
    assert subject("Mejor Café de especialidad en Madrid 2026") == "cafe especialidad"
    assert subject("precio") == "precio"


def test_rules_and_model_strengthen_each_other_and_doubt_when_they_differ() -> None:
    rule = rule_probabilities("transactional")
    agreeing = combine(rule, (0.1, 0.1, 0.7, 0.1))
    differing = combine(rule, (0.7, 0.1, 0.1, 0.1))
    assert agreeing[2] > rule[2] > differing[2]
    assert top(combine(None, (0.97, 0.01, 0.01, 0.01))) == "informational"
    assert sum(agreeing) == pytest.approx(1.0, abs=1e-5)


def test_a_model_that_answers_otherwise_than_asked_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="update the worker"):
        model_probabilities([Scored(logprobs=(1.0, 2.0), tokens=(1, 1))], 1)


def keywords(**fields: object) -> list[Keyword]:
    return [
        Keyword.model_validate({"text": text, "volume": 100 + i, **fields}) for i, text in enumerate(TEXTS)
    ]


def test_the_model_judges_the_keywords_without_a_rule_first_and_some_with() -> None:
    context = FakeContext()
    result = analyse.handle(niche_analyse.Request(keywords=tuple(keywords()), judged_by_model=4), context)
    asked = [found.text for found in result.intents if found.by_model is not None]
    assert len(asked) == 4
    assert sum(not rule_intent(text) for text in asked) == 3
    assert result.agreement in {0.0, 1.0}
    assert result.model_sha256 == "f" * 64
    assert [found.text for found in result.intents] == TEXTS


def test_without_a_model_the_rules_are_enough() -> None:
    context = FakeContext()
    result = analyse.handle(niche_analyse.Request(keywords=tuple(keywords()), judged_by_model=0), context)
    assert context.fake_models.asked == []
    assert result.model_sha256 == ""
    assert result.agreement is None


def test_months_that_do_not_match_are_refused() -> None:
    request = niche_analyse.Request(
        keywords=(Keyword(text="pan", volume=1, monthly=(1, 2)),), months=("2025-01",)
    )
    with pytest.raises(PermanentFailure, match="'pan' has 2 monthly numbers"):
        analyse.handle(request, FakeContext())


MONTHS = [f"{2024 + i // 12}-{i % 12 + 1:02d}" for i in range(24)]


def series(values: list[int]) -> list[Keyword]:
    return [Keyword(text="pan", volume=sum(values) // len(values), monthly=tuple(values))]


def test_two_years_tell_growth_exactly() -> None:
    one = series([100] * 12 + [150] * 12)
    found = growth(one, monthly_totals(one, MONTHS))
    assert found is not None
    assert found.basis == "two years"
    assert found.middle == found.low == found.high == pytest.approx(0.5)


def test_one_year_falls_back_to_the_exports_own_change_and_then_to_a_slope() -> None:
    told = [Keyword(text=f"pan {i}", volume=100, yearly_change=0.2 + i / 100) for i in range(5)]
    found = growth(told, np.zeros(0))
    assert found is not None
    assert found.basis == "same month last year"
    assert found.low < 0.22 < found.high
    rising = series([100 + 10 * i for i in range(12)])
    sloped = growth(rising, monthly_totals(rising, MONTHS[:12]))
    assert sloped is not None
    assert sloped.basis == "slope"
    assert sloped.low <= sloped.middle <= sloped.high
    assert sloped.middle > 0.5
    assert growth(series([5, 6]), np.asarray([5.0, 6.0])) is None


def test_seasons_are_found_and_growth_is_not_taken_for_a_season() -> None:
    christmas = series([10] * 11 + [130])
    found = seasons(monthly_totals(christmas, MONTHS[:12]), MONTHS[:12], None)
    assert found is not None
    assert found.peak_month == 12
    assert found.strength == pytest.approx(220 / 480, abs=0.001)
    steady = series([round(1000 * 1.5 ** (i / 12)) for i in range(24)])
    totals = monthly_totals(steady, MONTHS)
    calm = seasons(totals, MONTHS, growth(steady, totals))
    assert calm is not None
    assert calm.strength < 0.01
    assert seasons(totals[:5], MONTHS[:5], None) is None

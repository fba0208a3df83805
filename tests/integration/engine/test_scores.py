"""Scores are those of one plain pass a choice, however they are batched and shared."""

from __future__ import annotations

import dataclasses
import random

import pytest
import torch

from tests.integration.engine.stage import DESCRIPTION, backend_of
from tests.integration.tiny_model import tiny_model, words
from worker.models.native.backend import CausalBackend
from worker.models.native.causal import CPU_BUDGET, CausalModel
from worker.models.native.engine import Engine
from worker.models.native.plain import plain_score
from worker.models.native.sharing import attends_to_all
from worker.models.protocol import Scored, ScoreItem
from worker.models.stats import Counters


def score_items() -> list[ScoreItem]:
    """Items of two agents with long beginnings of their own, loose ones, and one asked twice."""
    chance = random.Random(3)
    agents = [words(chance, 90), words(chance, 120)]
    items = [
        ScoreItem(prompt=agents[number % 2] + words(chance, 5 + number), choices=(" x", " yes", " maybe so"))
        for number in range(12)
    ]
    loose = [ScoreItem(prompt=words(chance, length), choices=("a", "b")) for length in (1, 40, 7)]
    return [*items, *loose, items[0]]


def expected(model: CausalModel, item: ScoreItem) -> tuple[float, ...]:
    prompt = model.text.prompt(item.prompt)
    choices = [model.text.continuation(item.prompt, choice) for choice in item.choices]
    with torch.inference_mode():
        return plain_score(model, prompt, choices)


def assert_scores(model: CausalModel, items: list[ScoreItem], scored: tuple[Scored, ...]) -> None:
    for item, found in zip(items, scored, strict=True):
        assert found.logprobs == pytest.approx(expected(model, item), abs=1e-3)
        assert found.tokens == tuple(len(choice) for choice in item.choices)


def test_scores_are_those_of_one_unbatched_pass_per_choice(engine: Engine) -> None:
    model, items = tiny_model(), score_items()
    assert model.shares

    assert_scores(model, items, backend_of(model, engine).score(items).result(timeout=60).results)


def test_scores_stay_right_when_prefixes_come_from_the_cache_and_batches_are_small(engine: Engine) -> None:
    model = tiny_model(dataclasses.replace(CPU_BUDGET, new_tokens=50, rows=3, logit_rows=2))
    backend, items = backend_of(model, engine), score_items()

    for part in (items[:1], items[2:9], items[1:2], items):
        assert_scores(model, part, backend.score(part).result(timeout=60).results)


def test_a_shared_beginning_is_computed_once_even_across_requests(engine: Engine) -> None:
    counters = Counters()
    backend = backend_of(tiny_model(), engine, counters)
    system = "s" * 200

    for number in range(4):
        item = ScoreItem(prompt=f"{system}{number}{number}?", choices=("a", "b"))
        backend.score([item]).result(timeout=60)

    stats = counters.snapshot((), 0)
    assert stats.prompt_tokens == 4 * 203
    assert stats.computed_tokens == 203 + 3 * 3
    assert stats.prefix_hits == 3


def test_a_model_with_windows_is_run_plainly_and_scores_right(engine: Engine) -> None:
    model = tiny_model()
    model.shares = False
    backend = CausalBackend(model, DESCRIPTION, engine, Counters())
    items = score_items()[:3]

    assert_scores(model, items, backend.score(items).result(timeout=60).results)


@pytest.mark.parametrize(
    ("layers", "window", "all_of_it"),
    [
        (["full_attention"] * 2, 512, True),
        (["full_attention", "sliding_attention"], 512, False),
        (None, 512, False),
    ],
)
def test_only_layers_that_see_the_whole_context_share_prefixes(
    layers: list[str] | None, window: int, all_of_it: bool
) -> None:
    config = type("Config", (), {"layer_types": layers, "sliding_window": window})()

    assert attends_to_all(config) is all_of_it

"""A text is the same alone and in any crowd, and ends where it should."""

from __future__ import annotations

import dataclasses
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.engine.stage import alone, backend_of, generate_items
from tests.integration.tiny_model import CONTEXT_TOKENS, tiny_model, words
from worker.models.native.causal import CPU_BUDGET
from worker.models.native.engine import Engine
from worker.models.protocol import Generated, GenerateItem
from worker.models.stats import Counters


def test_each_text_is_the_same_alone_and_in_any_crowd(engine: Engine) -> None:
    items = generate_items(30)
    texts = alone(tiny_model(), items)
    small = dataclasses.replace(CPU_BUDGET, rows=5, new_tokens=120, held_tokens=600)

    for budget in (CPU_BUDGET, small):
        backend = backend_of(tiny_model(budget), engine)
        for order in (items, items[::-1]):
            found = backend.generate(order).result(timeout=120).results
            by_seed = {item.seed: result for item, result in zip(order, found, strict=True)}
            assert [by_seed[item.seed] for item in items] == texts


def test_requests_that_arrive_one_by_one_get_their_own_texts(engine: Engine) -> None:
    items = generate_items(24)
    texts = alone(tiny_model(), items)
    backend = backend_of(tiny_model(dataclasses.replace(CPU_BUDGET, rows=8)), engine)

    with ThreadPoolExecutor(6) as clients:
        found = list(clients.map(lambda item: backend.generate([item]).result(timeout=120).results[0], items))

    assert found == texts


def test_generation_ends_before_a_stop_string(engine: Engine) -> None:
    backend = backend_of(tiny_model(), engine)
    free = GenerateItem(prompt="abc", max_new_tokens=40, temperature=1.0, seed=4)
    text = backend.generate([free]).result(timeout=60).results[0].text
    stop = text[5:8]

    stopped = backend.generate([free.model_copy(update={"stop": (stop,)})]).result(timeout=60).results[0]

    assert stopped.text == text[: text.index(stop)]
    assert stopped.finish == "stop"


def test_generation_ends_where_the_context_is_full(engine: Engine) -> None:
    item = GenerateItem(prompt="a" * (CONTEXT_TOKENS - 3), max_new_tokens=50, temperature=0.0)

    found = backend_of(tiny_model(eos_token_id=None), engine).generate([item]).result(timeout=60).results[0]

    assert (found.tokens, found.finish) == (3, "length")


def test_the_parts_of_a_text_make_up_the_whole_and_hold_no_stop(engine: Engine) -> None:
    model = tiny_model()
    backend = backend_of(model, engine)
    plain = GenerateItem(prompt="hello", max_new_tokens=60, temperature=1.0, seed=4, ignore_end=True)
    text = alone(model, [plain])[0].text
    items = [plain, plain.model_copy(update={"stop": (text[30:33],)})]
    heard: dict[int, list[str]] = {0: [], 1: []}

    results = backend.generate(items, lambda item, part: heard[item].append(part)).result(timeout=60).results

    for number, result in enumerate(results):
        assert isinstance(result, Generated)
        assert "".join(heard[number]) == result.text
    assert len(heard[0]) > 10
    assert text[30:33] not in "".join(heard[1])


@pytest.mark.parametrize("waves", [1, 3])
def test_beginnings_shared_by_groups_of_any_size_change_no_text(engine: Engine, waves: int) -> None:
    chance = random.Random(11)
    items = []
    for size in (1, 2, 3, 5, 8):
        beginning = words(chance, 40 + 7 * size)
        items += [
            GenerateItem(
                prompt=beginning + words(chance, chance.randint(1, 20)),
                max_new_tokens=chance.choice((1, 5, 30)),
                temperature=chance.choice((0.0, 1.0)),
                seed=size,
                ignore_end=True,
            )
            for _ in range(size)
        ]
    chance.shuffle(items)
    texts = alone(tiny_model(), items)
    counters = Counters()
    backend = backend_of(tiny_model(dataclasses.replace(CPU_BUDGET, rows=9)), engine, counters)

    for _ in range(waves):
        assert list(backend.generate(items).result(timeout=60).results) == texts

    stats = counters.snapshot((), 0)
    assert stats.computed_tokens < stats.prompt_tokens
    assert stats.done == waves * len(items)


def test_a_long_prompt_is_computed_in_parts_and_nothing_changes(engine: Engine) -> None:
    chance = random.Random(8)
    items = [
        GenerateItem(prompt=words(chance, letters), max_new_tokens=12, ignore_end=True)
        for letters in (300, 3, 250, 40, 1)
    ]
    texts = alone(tiny_model(), items)
    counters = Counters()
    model = tiny_model(dataclasses.replace(CPU_BUDGET, new_tokens=64, prefill_tokens=16))
    backend = backend_of(model, engine, counters)

    futures = [backend.generate([item]) for item in items]

    assert [future.result(timeout=60).results[0] for future in futures] == texts
    assert counters.snapshot((), 0).computed_tokens <= sum(len(item.prompt) for item in items)


def test_where_no_prefix_can_be_kept_long_prompts_are_computed_all_the_same(engine: Engine) -> None:
    item = GenerateItem(prompt="x" * 200, max_new_tokens=4)
    texts = alone(tiny_model(), [item])
    cramped = dataclasses.replace(CPU_BUDGET, new_tokens=32, prefill_tokens=16, prefix_cache_bytes=1)

    assert list(backend_of(tiny_model(cramped), engine).generate([item]).result(timeout=60).results) == texts

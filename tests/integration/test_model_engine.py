"""The engine's arithmetic and scheduling on a tiny model with random weights, in this process."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from tasks.errors import PermanentFailure, TransientFailure
from tests.integration.tiny_model import CONTEXT_TOKENS, tiny_model
from worker.models.causal import CPU_BUDGET, CausalModel
from worker.models.engine import Engine
from worker.models.plain import PlainDecodeQueue, plain_score
from worker.models.protocol import Generated, GenerateItem, Scored, ScoreItem
from worker.models.sampling import Draw, choose_tokens
from worker.models.sharing import attends_to_all
from worker.models.stats import Counters
from worker.models.torch_backend import CausalBackend
from worker.models.wire import DescribeReply

DESCRIPTION = DescribeReply(model="tiny", sha256="0", dtype="float32", device="cpu")


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.stop()


def backend_of(model: CausalModel, engine: Engine, counters: Counters | None = None) -> CausalBackend:
    return CausalBackend(model, DESCRIPTION, engine, counters or Counters())


def words(chance: random.Random, letters: int) -> str:
    return "".join(chance.choice("abcdefgh ") for _ in range(letters))


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


def generate_items(count: int) -> list[GenerateItem]:
    chance = random.Random(5)
    agents = [words(chance, 100), words(chance, 60)]
    return [
        GenerateItem(
            prompt=agents[number % 2] + words(chance, 1 + number % 7),
            max_new_tokens=chance.randint(1, 40),
            temperature=(0.0, 0.7, 1.5)[number % 3],
            top_p=(1.0, 0.9)[number % 2],
            top_k=(0, 0, 20)[number % 3],
            seed=number,
        )
        for number in range(count)
    ]


def alone(model: CausalModel, items: list[GenerateItem]) -> list[Generated]:
    """Each text generated plainly, one at a time, in an engine of its own."""
    engine = Engine()
    backend = backend_of(model, engine)
    backend._decoding = PlainDecodeQueue(model, Counters())
    try:
        return [backend.generate([item]).result(timeout=60).results[0] for item in items]
    finally:
        engine.stop()


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

    assert (found.tokens, found.finish) in {(3, "length")} or found.finish == "stop"


@pytest.mark.parametrize("length", [CONTEXT_TOKENS, CONTEXT_TOKENS + 5])
def test_a_prompt_beyond_the_context_is_refused_with_both_lengths(engine: Engine, length: int) -> None:
    backend = backend_of(tiny_model(), engine)

    with pytest.raises(
        PermanentFailure, match=rf"{length + 1} tokens and the model's context {CONTEXT_TOKENS}"
    ):
        backend.generate([GenerateItem(prompt="a" * length)])
    with pytest.raises(PermanentFailure, match=rf"{length + 1} tokens"):
        backend.score([ScoreItem(prompt="a" * length, choices=("a", "b"))])


def test_running_out_of_memory_in_a_crowd_loses_no_text(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = generate_items(12)
    texts = alone(tiny_model(), items)
    model = tiny_model()
    forward = model.forward

    def cramped(tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        if tokens.shape[0] > 3:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return forward(tokens, *rest)

    monkeypatch.setattr(model, "forward", cramped)

    assert list(backend_of(model, engine).generate(items).result(timeout=120).results) == texts


def test_one_request_that_cannot_be_computed_fails_alone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    forward = model.forward
    poison = model.text.prompt("#")[0]

    def breaking(tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        if bool((tokens == poison).any()):
            raise RuntimeError("out of memory")
        return forward(tokens, *rest)

    monkeypatch.setattr(model, "forward", breaking)
    backend = backend_of(model, engine)
    items = [GenerateItem(prompt="#" if number == 3 else f"p{number}") for number in range(8)]

    futures = [backend.generate([item]) for item in items]

    outcomes = [future.exception(timeout=60) for future in futures]
    assert [number for number, outcome in enumerate(outcomes) if outcome] == [3]
    assert isinstance(outcomes[3], TransientFailure)


def test_scoring_is_answered_while_a_long_text_is_generated(engine: Engine) -> None:
    backend = backend_of(tiny_model(eos_token_id=None), engine)
    long = backend.generate([GenerateItem(prompt="a", max_new_tokens=400, temperature=1.0)])

    backend.score([ScoreItem(prompt="a", choices=("b", "c"))]).result(timeout=60)

    assert not long.done()
    long.result(timeout=120)


def test_top_k_and_top_p_draw_only_from_what_they_allow() -> None:
    logits = torch.log(torch.tensor([[0.05, 0.5, 0.15, 0.3]]))

    def drawn(top_p: float, top_k: int) -> set[int]:
        return {choose_tokens(logits, [Draw(1.0, top_p, top_k, step / 1000)])[0] for step in range(1000)}

    assert drawn(1.0, 0) == {0, 1, 2, 3}
    assert drawn(1.0, 2) == {1, 3}
    assert drawn(0.79, 0) == {1, 3}
    assert drawn(0.9, 3) == {1, 2, 3}
    assert drawn(1e-6, 0) == {1}


def test_draws_follow_the_probabilities() -> None:
    logits = torch.log(torch.tensor([[0.05, 0.5, 0.15, 0.3]]))

    tokens = [choose_tokens(logits, [Draw(1.0, 1.0, 0, (step + 0.5) / 1000)])[0] for step in range(1000)]

    assert [tokens.count(token) for token in range(4)] == [50, 500, 150, 300]


def test_top_p_reaches_beyond_the_tokens_looked_at_first() -> None:
    logits = torch.zeros((1, 5000))

    found = {choose_tokens(logits, [Draw(1.0, 0.99, 0, step / 50)])[0] for step in range(50)}

    assert max(found) > 4000

"""The engine's arithmetic and scheduling on a tiny model with random weights, in this process."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tests.integration.tiny_model import CONTEXT_TOKENS, other_model, tiny_model
from tests.support import wait_until
from worker.models.native import load
from worker.models.native.backend import CausalBackend
from worker.models.native.causal import CPU_BUDGET, CausalModel
from worker.models.native.decoder import LlamaDecoder, TransformersDecoder
from worker.models.native.engine import Engine
from worker.models.native.kv import NOTHING
from worker.models.native.plain import PlainDecodeQueue, plain_score
from worker.models.native.sampling import Draw, choose_tokens
from worker.models.native.sharing import attends_to_all
from worker.models.native.slots import Slots
from worker.models.outcomes import Failed, Outcome
from worker.models.protocol import Generated, GenerateItem, Scored, ScoreItem
from worker.models.stats import Counters
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
    short = GenerateItem(prompt="a", max_new_tokens=2)

    results = backend.generate([GenerateItem(prompt="a" * length), short]).result(timeout=60).results
    scored = backend.score([ScoreItem(prompt="a" * length, choices=("a", "b"))]).result(timeout=60).results

    for told in (results[0], scored[0]):
        assert isinstance(told, Failed)
        assert (told.outcome, told.transient) == (Outcome.REJECTED, False)
        assert f"{length + 1} tokens and the model's context {CONTEXT_TOKENS}" in told.message
    assert isinstance(results[1], Generated)


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
    items = [
        GenerateItem(prompt="#" if number == 37 else f"p{number}", max_new_tokens=4) for number in range(100)
    ]

    results = backend.generate(items).result(timeout=120).results

    assert [number for number, result in enumerate(results) if isinstance(result, Failed)] == [37]
    assert getattr(results[37], "transient", False)


def test_a_request_given_up_stops_within_two_decode_steps(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters = Counters()
    model = tiny_model()
    forward = model.forward
    steps: list[bool] = []
    reply: list[Any] = []

    def counted(tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        if len(steps) == 10:
            reply[0].cancel()
        if tokens.shape[1] == 1:
            steps.append(bool(reply[0].cancelled()))
        return forward(tokens, *rest)

    monkeypatch.setattr(model, "forward", counted)
    backend = backend_of(model, engine, counters)
    item = GenerateItem(prompt="a", max_new_tokens=400, ignore_end=True)
    reply.append(backend.generate([item]))
    other = backend.generate([GenerateItem(prompt="b", max_new_tokens=1)])
    other.result(timeout=60)
    wait_until(lambda: counters.snapshot((), 0).cancelled == 1, 60, "it is given up")
    backend.generate([GenerateItem(prompt="c", max_new_tokens=1)]).result(timeout=60)

    assert 1 <= sum(steps) <= 2
    assert len(steps) < 20


def test_a_deadline_ends_a_request_that_is_being_generated_and_one_that_waits(engine: Engine) -> None:
    model = tiny_model(dataclasses.replace(CPU_BUDGET, rows=1))
    backend = backend_of(model, engine)
    long = GenerateItem(prompt="a", max_new_tokens=500, ignore_end=True, deadline_s=0.2)

    results = backend.generate([long, long]).result(timeout=60).results

    for told in results:
        assert isinstance(told, Failed)
        assert told.outcome is Outcome.EXPIRED


def test_the_urgent_overtakes_what_waits(engine: Engine) -> None:
    model = tiny_model(dataclasses.replace(CPU_BUDGET, rows=1))
    backend = backend_of(model, engine)
    ended: list[str] = []
    items = {
        "first": GenerateItem(prompt="a", max_new_tokens=100, ignore_end=True),
        "later": GenerateItem(prompt="b", max_new_tokens=1),
        "urgent": GenerateItem(prompt="c", max_new_tokens=1, priority=5),
    }
    futures = []
    for name, item in items.items():
        future = backend.generate([item])
        future.add_done_callback(lambda _, name=name: ended.append(name))
        futures.append(future)
    for future in futures:
        future.result(timeout=60)

    assert ended.index("urgent") < ended.index("later")


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


def test_a_model_that_comes_back_needs_no_second_trial(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    tiny_model().model.save_pretrained(folder)
    placement = load.Placement(device=torch.device("cpu"), dtype=torch.float32)
    known = load.Known(text=tiny_model().text)
    first = load.load_causal(folder, placement, known)
    again = load.load_causal(folder, placement, known)

    assert known.decoder is LlamaDecoder
    assert again.shares
    tokens = first.integers([[5, 6, 7]])
    for model in (first, again):
        assert len(model.model.get_decoder().layers) == 0
    with torch.inference_mode():
        made = [
            model.extend(Slots(model.shape), [NOTHING], [tuple(tokens[0].tolist())], room=0)
            for model in (first, again)
        ]
    assert torch.equal(made[0], made[1])


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


@pytest.mark.parametrize(
    "make",
    [
        lambda: other_model(Qwen2Config, Qwen2ForCausalLM),
        lambda: other_model(Qwen3Config, Qwen3ForCausalLM, head_dim=16),
        lambda: other_model(MistralConfig, MistralForCausalLM, sliding_window=None),
        lambda: other_model(GemmaConfig, GemmaForCausalLM, head_dim=16),
    ],
    ids=["qwen2", "qwen3", "mistral", "gemma"],
)
def test_models_of_other_shapes_write_what_transformers_writes(
    make: Callable[[], CausalModel], engine: Engine
) -> None:
    model = make()
    assert model.shares
    prompts = ["hello there", "hello you", "a"]
    items = [GenerateItem(prompt=prompt, max_new_tokens=10, ignore_end=True) for prompt in prompts]

    found = [result.text for result in backend_of(model, engine).generate(items).result(timeout=60).results]

    model.model.set_attn_implementation("eager")
    for prompt, text in zip(prompts, found, strict=True):
        ids = model.integers([model.text.prompt(prompt)])
        with torch.inference_mode():
            whole = model.model.generate(ids, max_new_tokens=10, min_new_tokens=10, do_sample=False)
        assert text == model.text.decode(whole[0, ids.shape[1] :].tolist())


def test_the_fast_decoder_serves_models_of_llamas_shape_and_transformers_the_others() -> None:
    assert isinstance(tiny_model().decoder, LlamaDecoder)
    gemma = other_model(GemmaConfig, GemmaForCausalLM, head_dim=16)
    assert isinstance(gemma.decoder, TransformersDecoder)


def test_scoring_is_answered_while_a_long_text_is_generated(engine: Engine) -> None:
    backend = backend_of(tiny_model(eos_token_id=None), engine)
    long = backend.generate([GenerateItem(prompt="a", max_new_tokens=400, temperature=1.0)])

    backend.score([ScoreItem(prompt="a", choices=("b", "c"))]).result(timeout=60)

    assert not long.done()
    long.result(timeout=120)


def test_top_k_and_top_p_draw_only_from_what_they_allow() -> None:
    logits = torch.log(torch.tensor([[0.05, 0.5, 0.15, 0.3]]))

    def drawn(top_p: float, top_k: int) -> set[int]:
        return {choose_tokens(logits, [Draw(1.0, top_p, top_k, 3, step)])[0] for step in range(1000)}

    assert drawn(1.0, 0) == {0, 1, 2, 3}
    assert drawn(1.0, 2) == {1, 3}
    assert drawn(0.79, 0) == {1, 3}
    assert drawn(0.9, 3) == {1, 2, 3}
    assert drawn(1e-6, 0) == {1}


def test_draws_follow_the_probabilities() -> None:
    logits = torch.log(torch.tensor([[0.05, 0.5, 0.15, 0.3]]))

    tokens = [choose_tokens(logits, [Draw(1.0, 1.0, 0, 3, step)])[0] for step in range(4000)]

    # Seeded, so the same every time; within three standard deviations of 200, 2000, 600 and 1200.
    for token, (share, spread) in enumerate([(200, 42), (2000, 95), (600, 68), (1200, 87)]):
        assert abs(tokens.count(token) - share) < spread


def test_draws_over_many_blocks_follow_the_probabilities_and_hardly_mind_rounding() -> None:
    torch.manual_seed(2)
    logits = torch.randn((1, 3000)) * 2
    noisy = logits + torch.randn_like(logits) * 1e-5
    draws = [Draw(1.0, 1.0, 0, 9, step) for step in range(3000)]

    exact = [choose_tokens(logits, [draw])[0] for draw in draws]
    near = [choose_tokens(noisy, [draw])[0] for draw in draws]

    assert sum(1 for one, other in zip(exact, near, strict=True) if one != other) <= 1
    expected = torch.softmax(logits[0], dim=0)
    likely = expected.topk(5).indices.tolist()
    for token in likely:
        share = float(expected[token]) * len(draws)
        assert abs(exact.count(token) - share) < 4 * share**0.5


def test_top_p_reaches_beyond_the_tokens_looked_at_first() -> None:
    logits = torch.zeros((1, 5000))

    found = {choose_tokens(logits, [Draw(1.0, 0.99, 0, 3, step)])[0] for step in range(50)}

    assert max(found) > 4000

"""Every request gets its own text: the one that transformers writes alone, whole or in parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from tests.integration.batching.stage import END, Open, loop_of, results_of, some_items, text_of
from tests.support import wait_until
from worker.models.protocol import Generated, GenerateItem
from worker.models.stats import Counters


def expected(folder: Path, items: list[GenerateItem]) -> list[Generated]:
    """What transformers' ``generate`` writes, one at a time."""
    model: Any = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    texts = []
    for item in items:
        inputs = tokenizer(item.prompt, return_tensors="pt")
        row = model.generate(
            inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=item.max_new_tokens,
            do_sample=False,
            eos_token_id=None if item.ignore_end else END,
            pad_token_id=END,
        )[0, inputs["input_ids"].shape[1] :].tolist()
        stopped = not item.ignore_end and row[-1] == END
        tokens = row[:-1] if stopped else row
        text = tokenizer.decode(tokens, skip_special_tokens=True)
        texts.append(Generated(text=text, tokens=len(tokens), finish="stop" if stopped else "length"))
    return texts


def test_greedy_texts_are_what_transformers_generates_one_by_one(open_model: Open, folder: Path) -> None:
    items = some_items(30)

    assert list(results_of(open_model(), *items)) == expected(folder, items)


def test_many_requests_get_their_own_texts_from_a_cache_that_holds_few(
    open_model: Open, folder: Path, counters: Counters
) -> None:
    items = some_items(80)
    backend = open_model(tokens=320)

    futures = [backend.generate([item]) for item in items]
    found = [future.result(timeout=60).results[0] for future in futures]

    assert found == expected(folder, items)
    stats = counters.snapshot((), 0)
    assert (stats.done, stats.prompt_tokens) == (80, sum(len(item.prompt) for item in items))
    assert stats.generated_tokens == sum(result.tokens for result in found if isinstance(result, Generated))
    assert futures[0].result().usage.seconds > 0


def test_a_beginning_is_shared_in_pages_of_16_tokens(open_model: Open) -> None:
    backend = open_model()
    results_of(backend, GenerateItem(prompt="x" * 40 + "a", max_new_tokens=2))
    cache = loop_of(backend)._manager.batch_processor.cache
    matched: list[int] = []
    match = cache.search_prefix_match

    def noted(*request: Any) -> int:
        matched.append(match(*request))
        return matched[-1]

    cache.search_prefix_match = noted

    results_of(backend, GenerateItem(prompt="x" * 40 + "b", max_new_tokens=2))

    assert matched == [32]


def test_a_text_ends_before_a_stop_string_and_its_place_is_free_again(
    open_model: Open, counters: Counters
) -> None:
    backend = open_model()
    free = GenerateItem(prompt="hello", max_new_tokens=300, ignore_end=True)
    text = text_of(backend, free)
    stop = text[5:8]

    result = results_of(backend, free.model_copy(update={"stop": (stop, "never")}))[0]

    assert isinstance(result, Generated)
    assert result.text == text[: text.index(stop)]
    assert result.finish == "stop"
    assert result.tokens < 60
    processor = loop_of(backend)._manager.batch_processor
    wait_until(lambda: not processor.scheduler.active_requests, what="the rest is not computed")
    assert counters.snapshot((), 0).generated_tokens == 300 + result.tokens


def test_the_parts_of_a_text_make_up_the_whole_and_hold_no_stop(open_model: Open) -> None:
    backend = open_model()
    plain = GenerateItem(prompt="hello", max_new_tokens=120, ignore_end=True)
    text = text_of(backend, plain)
    items = [plain, plain.model_copy(update={"stop": (text[60:63],)})]
    heard: dict[int, list[str]] = {0: [], 1: []}

    results = backend.generate(items, lambda item, part: heard[item].append(part)).result(timeout=60).results

    for number, result in enumerate(results):
        assert isinstance(result, Generated)
        assert "".join(heard[number]) == result.text
    assert len(heard[0]) > 3
    assert text[60:63] not in "".join(heard[1])

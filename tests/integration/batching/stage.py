"""A tiny random Llama in a folder, opened for continuous batching through the registry."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.integration.tiny_model import words
from worker.models.batching.backend import BatchingBackend
from worker.models.batching.size import choose_size
from worker.models.outcomes import Failed
from worker.models.protocol import Generated, GenerateItem
from worker.models.registry import Registry, RegistrySettings
from worker.models.stats import Counters

CONTEXT_TOKENS = 400
END = 1
#: Beside 256 bytes: begin and end.
VOCABULARY = 258
#: A token of the tokenizer that the weights do not have.
FOREIGN = "<foreign>"


def save_tokenizer(folder: Path) -> None:
    """Every byte is a token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    letters = {"<s>": 0, "</s>": END} | {letter: at for at, letter in enumerate(alphabet, 2)}
    tokenizer = Tokenizer(models.BPE(vocab=letters, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped: Callable[..., Any] = PreTrainedTokenizerFast
    fast = wrapped(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.add_tokens([FOREIGN])
    fast.chat_template = (
        "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    )
    fast.save_pretrained(folder)


def make_registry(cache_folder: Path, counters: Counters, memory_mib: int = 0) -> Registry:
    settings = RegistrySettings(
        text_model="fake:",
        embedding_model="fake:",
        cache_folder=cache_folder,
        dtype="float32",
        threads=1,
        memory_mib=memory_mib,
    )
    return Registry(settings, counters)


Open = Callable[..., BatchingBackend]


def sized(tokens: int) -> Callable[..., Any]:
    def choose(model: Any, spare_bytes: int, *, flash: bool) -> Any:
        token_bytes = choose_size(model, spare_bytes, flash=flash).token_bytes
        return choose_size(model, tokens * token_bytes * 4, flash=flash)

    return choose


def loop_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "_run_generation_loop" in thread.name]


def loop_of(backend: BatchingBackend) -> Any:
    return backend._guard._loop


def results_of(backend: BatchingBackend, *items: GenerateItem) -> tuple[Generated | Failed, ...]:
    return backend.generate(items).result(timeout=60).results


def text_of(backend: BatchingBackend, item: GenerateItem) -> str:
    result = results_of(backend, item)[0]
    assert isinstance(result, Generated), result
    return result.text


def some_items(count: int) -> list[GenerateItem]:
    chance = random.Random(5)
    agents = [words(chance, 100), words(chance, 60)]
    return [
        GenerateItem(
            prompt=agents[number % 2] + words(chance, 1 + number % 7),
            max_new_tokens=chance.randint(1, 30),
            ignore_end=bool(number % 3),
        )
        for number in range(count)
    ]


def slowed(backend: BatchingBackend) -> threading.Event:
    """Every step takes 20 ms more for as long as this is set."""
    manager = loop_of(backend)._manager
    step = manager._generation_step
    slow = threading.Event()
    slow.set()

    def slow_step() -> None:
        if slow.is_set():
            time.sleep(0.02)
        step()

    manager._generation_step = slow_step
    return slow

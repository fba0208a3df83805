"""transformers' continuous batching behind its guard: a tiny random Llama from a folder, through the registry."""

from __future__ import annotations

import functools
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tasks.errors import PermanentFailure
from tests.support import ROOT, wait_until
from worker.models.batching.backend import BatchingBackend
from worker.models.batching.loop import Loop
from worker.models.batching.size import choose_size
from worker.models.outcomes import Failed, Outcome, Rejected
from worker.models.protocol import Generated, GenerateItem, Grammar, ScoreItem
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
    words = {"<s>": 0, "</s>": END} | {letter: at for at, letter in enumerate(alphabet, 2)}
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped: Callable[..., Any] = PreTrainedTokenizerFast
    fast = wrapped(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.add_tokens([FOREIGN])
    fast.chat_template = (
        "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    )
    fast.save_pretrained(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(7)
    torch.set_num_threads(1)  # too small to share out
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_TOKENS,
        initializer_range=0.4,
        bos_token_id=0,
        eos_token_id=END,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


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


@pytest.fixture
def counters() -> Counters:
    return Counters()


Open = Callable[..., BatchingBackend]


@pytest.fixture
def open_model(folder: Path, tmp_path: Path, counters: Counters) -> Iterator[Open]:
    """Opens the model; with ``tokens``, in so small a cache. All is stopped at last."""
    registries = []

    def open_it(tokens: int = 0) -> BatchingBackend:
        with pytest.MonkeyPatch.context() as patch:
            if tokens:
                patch.setattr("worker.models.batching.load.choose_size", sized(tokens))
            registry = make_registry(tmp_path, counters)
            registries.append(registry)
            backend = registry.backend(f"transformers:{folder}", "text")
        assert isinstance(backend, BatchingBackend)
        return backend

    yield open_it
    for registry in registries:
        registry.stop()
    assert loop_threads() == []


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


def words(chance: random.Random, letters: int) -> str:
    return "".join(chance.choice("abcdefgh ") for _ in range(letters))


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


def test_a_cancelled_request_ends_at_once_and_frees_its_place(open_model: Open, counters: Counters) -> None:
    backend = open_model(tokens=256)
    long = GenerateItem(prompt="a", max_new_tokens=250, ignore_end=True)
    heard = threading.Event()
    doomed = backend.generate([long], lambda *_: heard.set())
    waiting = backend.generate([long])
    assert heard.wait(30)

    doomed.cancel()

    with pytest.raises(CancelledError):
        doomed.result(timeout=0)
    assert isinstance(waiting.result(timeout=60).results[0], Generated)
    processor = loop_of(backend)._manager.batch_processor
    wait_until(lambda: not processor.scheduler.active_requests, what="the loop has let go of it")
    stats = counters.snapshot((), 0)
    assert (stats.cancelled, stats.done) == (1, 1)
    assert loop_of(backend)._manager.output_router.result_handlers == {}


def test_a_request_larger_than_the_cache_is_refused_with_both_numbers_and_harms_no_other(
    open_model: Open, counters: Counters
) -> None:
    backend = open_model(tokens=256)
    fits = GenerateItem(prompt="a" * 100, max_new_tokens=156, ignore_end=True)

    results = results_of(backend, fits.model_copy(update={"max_new_tokens": 157}), fits)

    refused, done = results
    assert isinstance(refused, Failed)
    assert (refused.outcome, refused.transient) == (Outcome.REJECTED, False)
    assert "257 tokens (prompt 100, new 157)" in refused.message
    assert "holds 256" in refused.message
    assert isinstance(done, Generated)
    assert done.tokens == 156
    assert counters.snapshot((), 0).rejected == 1


def test_when_the_loop_dies_all_in_it_hear_so_and_the_next_request_gets_a_new_one(
    open_model: Open, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = open_model()
    first = loop_of(backend)
    long = GenerateItem(prompt="a", max_new_tokens=390, ignore_end=True)
    heard = threading.Event()
    waiting = [backend.generate([long]) for _ in range(3)]
    streamed = backend.generate([long], lambda *_: heard.set())
    assert heard.wait(30)

    def broken(*_: Any) -> None:
        raise RuntimeError("a kernel broke")

    monkeypatch.setattr(first._manager, "_generation_step", broken)

    for future in (*waiting, streamed):
        told = future.result(timeout=30).results[0]
        assert isinstance(told, Failed)
        assert (told.outcome, told.transient) == (Outcome.FAILED, True)
        assert "a kernel broke" in told.message
    assert isinstance(results_of(backend, long)[0], Generated)
    assert loop_of(backend) is not first
    assert len(loop_threads()) == 1
    stats = counters.snapshot((), 0)
    assert (stats.failed, stats.done) == (4, 1)


def test_a_loop_that_ends_without_a_word_loses_nobody(open_model: Open) -> None:
    backend = open_model()
    waiting = backend.generate([GenerateItem(prompt="a", max_new_tokens=390, ignore_end=True)])
    wait_until(lambda: backend._guard._running, what="it is handed over")
    manager = loop_of(backend)._manager
    manager.output_router.deliver = lambda _: None
    manager.output_router.deliver_batch = lambda _: None

    manager.background_thread_status.request_stop(2, 0)

    told = waiting.result(timeout=30).results[0]
    assert isinstance(told, Failed)
    assert told.transient
    assert text_of(backend, GenerateItem(prompt="a", max_new_tokens=3, ignore_end=True))


def test_what_only_waits_survives_the_loop(open_model: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = open_model(tokens=256)
    long = GenerateItem(prompt="a", max_new_tokens=250, ignore_end=True)
    heard = threading.Event()
    lost = backend.generate([long], lambda *_: heard.set())
    kept = backend.generate([long])
    assert heard.wait(30)

    monkeypatch.setattr(loop_of(backend)._manager, "_generation_step", lambda: 1 / 0)

    assert isinstance(lost.result(timeout=30).results[0], Failed)
    assert isinstance(kept.result(timeout=30).results[0], Generated)


def test_a_loop_that_cannot_be_started_fails_who_asks(
    open_model: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = open_model()
    backend.forget()
    wait_until(lambda: backend.prefix_cache_bytes == 0, what="the cache is freed")
    with monkeypatch.context() as patch:
        patch.setattr(Loop, "__init__", lambda *_: 1 / 0)
        for told in results_of(backend, *some_items(3)):
            assert isinstance(told, Failed)
            assert told.transient

    assert text_of(backend, GenerateItem(prompt="a", max_new_tokens=3, ignore_end=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0.5},
        {"top_k": 5},
        {"top_p": 0.9},
        {"grammar": Grammar(kind="regex", text="a+")},
    ],
)
def test_what_it_cannot_do_per_request_is_refused_and_says_what_to_use(
    open_model: Open, folder: Path, changes: dict[str, Any]
) -> None:
    greedy = GenerateItem(prompt="a", max_new_tokens=2, ignore_end=True)

    refused, done = results_of(open_model(), greedy.model_copy(update=changes), greedy)

    assert isinstance(refused, Failed)
    assert (refused.outcome, refused.transient) == (Outcome.REJECTED, False)
    assert f"name {folder} instead" in refused.message
    assert isinstance(done, Generated)


def test_tokens_that_the_weights_lack_and_prompts_beyond_the_context_never_reach_the_loop(
    open_model: Open,
) -> None:
    backend = open_model()
    first = loop_of(backend)

    foreign, long = results_of(
        backend, GenerateItem(prompt=f"a{FOREIGN}"), GenerateItem(prompt="a" * CONTEXT_TOKENS)
    )

    assert isinstance(foreign, Failed)
    assert isinstance(long, Failed)
    assert foreign.outcome is long.outcome is Outcome.REJECTED
    assert f"token {VOCABULARY} and the model knows {VOCABULARY}" in foreign.message
    assert f"{CONTEXT_TOKENS + 1} tokens and the model's context {CONTEXT_TOKENS}" in long.message
    assert loop_of(backend) is first
    assert first.takes


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


def test_a_listener_that_breaks_fails_only_its_own_request(open_model: Open) -> None:
    backend = open_model()
    item = GenerateItem(prompt="hello", max_new_tokens=200, ignore_end=True)

    def breaks(*_: Any) -> None:
        raise ValueError("nobody listens")

    broken, fine = backend.generate([item], breaks), backend.generate([item])

    told = broken.result(timeout=60).results[0]
    assert isinstance(told, Failed)
    assert "nobody listens" in told.message
    assert isinstance(fine.result(timeout=60).results[0], Generated)


def test_a_deadline_ends_what_is_computed_and_what_waits(open_model: Open, counters: Counters) -> None:
    backend = open_model(tokens=400)
    slow = slowed(backend)
    long = GenerateItem(prompt="a", max_new_tokens=390, ignore_end=True, deadline_s=0.3)

    results = results_of(backend, long, long)

    for told in results:
        assert isinstance(told, Failed)
        assert told.outcome is Outcome.EXPIRED
    slow.clear()
    assert text_of(backend, GenerateItem(prompt="a", max_new_tokens=3, ignore_end=True))
    assert counters.snapshot((), 0).expired == 2


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


def note_end(ended: list[str], name: str, _: object) -> None:
    ended.append(name)


def test_the_urgent_overtakes_what_waits(open_model: Open) -> None:
    backend = open_model(tokens=256)
    ended: list[str] = []
    items = {
        "first": GenerateItem(prompt="a", max_new_tokens=200, ignore_end=True),
        "later": GenerateItem(prompt="b", max_new_tokens=200, ignore_end=True),
        "urgent": GenerateItem(prompt="c", max_new_tokens=200, ignore_end=True, priority=5),
    }
    futures = []
    for name, item in items.items():
        future = backend.generate([item])
        future.add_done_callback(functools.partial(note_end, ended, name))
        futures.append(future)
    for future in futures:
        future.result(timeout=60)

    assert ended[-1] == "later"


def test_only_generating_is_offered_and_the_rest_is_described(open_model: Open, folder: Path) -> None:
    backend = open_model()

    with pytest.raises(Rejected, match=f"name {folder} instead"):
        backend.score([ScoreItem(prompt="a", choices=("b", "c"))])
    with pytest.raises(Rejected, match="embedded:minilm"):
        backend.embed(["a"])
    assert backend.chat_prompt([("user", "hello")]) == "user: hello\n"
    described = backend.describe()
    assert (described.model, described.dtype, described.device) == (
        f"transformers:{folder}",
        "float32",
        "cpu",
    )
    assert len(described.sha256) == 64


def test_forgetting_frees_the_cache_until_the_next_request(open_model: Open) -> None:
    backend = open_model()
    item = GenerateItem(prompt="hello", max_new_tokens=8, ignore_end=True)
    text = text_of(backend, item)
    assert backend.prefix_cache_bytes > 0

    backend.forget()
    wait_until(lambda: backend.prefix_cache_bytes == 0, what="the cache is freed")

    assert loop_threads() == []
    assert text_of(backend, item) == text


def test_a_model_put_away_answers_what_it_has_and_refuses_the_rest_for_now(open_model: Open) -> None:
    backend = open_model()
    item = GenerateItem(prompt="hello", max_new_tokens=300, ignore_end=True)
    last = backend.generate([item])

    backend.retire()

    assert isinstance(last.result(timeout=60).results[0], Generated)
    wait_until(lambda: not backend._guard._thread.is_alive(), what="its thread has ended")
    late = results_of(backend, item)[0]
    assert isinstance(late, Failed)
    assert late.transient
    assert loop_threads() == []


def test_stopping_fails_what_is_computed_and_what_waits(open_model: Open) -> None:
    backend = open_model(tokens=400)
    long = GenerateItem(prompt="a", max_new_tokens=390, ignore_end=True)
    slowed(backend)
    futures = [backend.generate([long]) for _ in range(3)]

    backend.stop()

    for future in futures:
        told = future.result(timeout=1).results[0]
        assert isinstance(told, Failed)
        assert told.transient


_SERVER = """
import sys, threading
from pathlib import Path
from worker.models.protocol import GenerateItem
from worker.models.registry import Registry, RegistrySettings
from worker.models.stats import Counters

folder, cache = sys.argv[1:]
registry = Registry(
    RegistrySettings(text_model="fake:", embedding_model="fake:", cache_folder=Path(cache), threads=1), Counters()
)
heard = threading.Event()
backend = registry.backend(f"transformers:{folder}", "text")
backend.generate(
    [GenerateItem(prompt="a", max_new_tokens=390, ignore_end=True)] * 50, lambda *_: heard.set()
)
heard.wait()
registry.stop()
print("stopped", [thread.name for thread in threading.enumerate() if not thread.daemon])
"""


def test_a_process_at_work_ends_within_seconds_of_stopping_the_registry(folder: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SERVER, str(folder), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "stopped ['MainThread']\n"), done.stderr


def test_the_loops_thread_would_not_keep_a_process_alive_that_forgot_to_stop(open_model: Open) -> None:
    open_model()

    assert [thread.daemon for thread in loop_threads()] == [True]


def test_a_model_that_the_loop_refuses_is_told_when_it_is_opened(
    open_model: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(**_: Any) -> None:
        raise ValueError("Invalid layer type: recurrent")

    monkeypatch.setattr(
        "transformers.generation.continuous_batching.continuous_api.PagedAttentionCache", refuses
    )

    with pytest.raises(PermanentFailure, match=r"does not work with transformers:.*Invalid layer type"):
        open_model()


def test_the_registry_puts_the_model_away_when_another_needs_its_memory(
    folder: Path, tmp_path: Path, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = make_registry(tmp_path, counters, memory_mib=1)
    backend = registry.backend(f"transformers:{folder}", "text")
    assert isinstance(backend, BatchingBackend)
    monkeypatch.setattr("worker.models.native.runtime.TorchRuntime.memory_bytes", lambda *_: 1 << 20)

    registry.backend(str(folder), "text")

    assert registry.loaded() == (str(folder),)
    wait_until(lambda: not backend._guard._thread.is_alive(), what="its thread has ended")
    registry.stop()


def test_the_registry_ends_it_behind_kept_answers_too(
    folder: Path, tmp_path: Path, counters: Counters
) -> None:
    settings = RegistrySettings(
        text_model="fake:", embedding_model="fake:", cache_folder=tmp_path, threads=1, kept_mib=1
    )
    registry = Registry(settings, counters)
    backend = registry.backend(f"transformers:{folder}", "text")
    assert not isinstance(backend, BatchingBackend)
    assert len(loop_threads()) == 1

    registry.stop()

    assert loop_threads() == []

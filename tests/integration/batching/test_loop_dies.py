"""transformers' loop breaks: everyone in it hears so, and the next request gets a new one."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.integration.batching.stage import Open, loop_of, loop_threads, results_of, some_items, text_of
from tests.support import wait_until
from worker.models.batching.loop import Loop
from worker.models.outcomes import Failed, Outcome
from worker.models.protocol import Generated, GenerateItem
from worker.models.stats import Counters


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

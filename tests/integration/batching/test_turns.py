"""Who is computed when: cancelled, expired and urgent requests."""

from __future__ import annotations

import functools
import threading
from concurrent.futures import CancelledError

import pytest

from tests.integration.batching.stage import Open, loop_of, results_of, slowed, text_of
from tests.support import wait_until
from worker.models.outcomes import Failed, Outcome
from worker.models.protocol import Generated, GenerateItem
from worker.models.stats import Counters


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

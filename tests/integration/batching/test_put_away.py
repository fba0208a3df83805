"""The model is put away or stopped: memory, threads and processes end with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.batching.stage import Open, loop_threads, make_registry, results_of, slowed, text_of
from tests.support import ROOT, wait_until
from worker.models.batching.backend import BatchingBackend
from worker.models.outcomes import Failed
from worker.models.protocol import Generated, GenerateItem
from worker.models.registry import Registry, RegistrySettings
from worker.models.stats import Counters


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

"""Seconds to load the embedded model in a process that has loaded it before."""

from __future__ import annotations

import statistics
import time

import platformdirs

from worker.models.artifacts import find_files
from worker.models.native.runtime import TorchRuntime
from worker.models.reference import DEFAULT_TEXT_MODEL, parse_reference
from worker.models.stats import Counters


def main() -> None:
    cache = platformdirs.user_cache_path("d8") / "models"
    runtime = TorchRuntime(cache_folder=cache, dtype="auto", threads=0, memory_mib=0, counters=Counters())
    files = find_files(parse_reference(DEFAULT_TEXT_MODEL))
    runtime.open(DEFAULT_TEXT_MODEL, files)
    seconds = []
    for _ in range(5):
        started_at_s = time.perf_counter()
        runtime.open(DEFAULT_TEXT_MODEL, files)
        seconds.append(time.perf_counter() - started_at_s)
    print(round(statistics.median(seconds), 3))

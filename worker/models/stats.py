"""Counters of the model server, written by many threads and read by /health."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psutil

from worker.models.wire import Stats

_COUNTED = (
    "requests",
    "failures",
    "queue_depth",
    "prompt_tokens",
    "computed_tokens",
    "padding_tokens",
    "generated_tokens",
    "busy_s",
    "prefix_hits",
    "prefix_misses",
)


class Counters:
    """Totals since the server started."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started_at_s = clock()
        self._lock = threading.Lock()
        self._totals = dict.fromkeys(_COUNTED, 0.0)

    def add(self, **amounts: float) -> None:
        """Add to totals by name; negative amounts take away."""
        with self._lock:
            for name, amount in amounts.items():
                self._totals[name] += amount

    def snapshot(self, models: tuple[str, ...], prefix_cache_bytes: int) -> Stats:
        """The totals now, with the process's memory, these loaded models and their kept prefixes."""
        with self._lock:
            totals = dict(self._totals)
        tokens = totals["prompt_tokens"] + totals["generated_tokens"]
        return Stats.model_validate(
            {
                **totals,
                "uptime_s": self._clock() - self._started_at_s,
                "tokens_per_s": tokens / totals["busy_s"] if totals["busy_s"] else 0.0,
                "memory_mib": psutil.Process().memory_info().rss / 2**20,
                "prefix_cache_mib": prefix_cache_bytes / 2**20,
                "models": models,
            }
        )

"""Counters of the model server, written by many threads and read by /health."""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable

import psutil

from worker.models.outcomes import Outcome
from worker.models.wire import Stats

_COUNTED = (
    *Outcome,
    "kept",
    "queue_depth",
    "prompt_tokens",
    "computed_tokens",
    "padding_tokens",
    "generated_tokens",
    "decode_steps",
    "decode_rows",
    "rows",
    "max_rows",
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
        self._totals = {str(name): 0.0 for name in _COUNTED}
        self._latencies_s: deque[float] = deque(maxlen=1024)

    def add(self, **amounts: float) -> None:
        """Add to totals by name; negative amounts take away."""
        with self._lock:
            for name, amount in amounts.items():
                self._totals[name] += amount

    def get(self, name: str) -> float:
        with self._lock:
            return self._totals[name]

    def put(self, name: str, value: float) -> None:
        """Set what is not a sum."""
        with self._lock:
            self._totals[name] = value

    def ended(self, outcome: Outcome, seconds: float) -> None:
        """One item has ended, so long after it arrived."""
        with self._lock:
            self._totals[outcome] += 1
            self._latencies_s.append(seconds)

    def snapshot(self, models: tuple[str, ...], prefix_cache_bytes: int) -> Stats:
        """The totals now, with the process's memory, these loaded models and their kept prefixes."""
        with self._lock:
            totals, latencies_s = dict(self._totals), list(self._latencies_s)
        tokens = totals["prompt_tokens"] + totals["generated_tokens"]
        p50_s, p95_s = _percentiles(latencies_s)
        return Stats.model_validate(
            {
                **totals,
                "latency_p50_s": p50_s,
                "latency_p95_s": p95_s,
                "uptime_s": self._clock() - self._started_at_s,
                "tokens_per_s": tokens / totals["busy_s"] if totals["busy_s"] else 0.0,
                "memory_mib": psutil.Process().memory_info().rss / 2**20,
                "prefix_cache_mib": prefix_cache_bytes / 2**20,
                "models": models,
            }
        )


def _percentiles(values: list[float]) -> tuple[float, float]:
    """The 50th and 95th; 0 where there is nothing yet."""
    if len(values) < 2:
        value = values[0] if values else 0.0
        return value, value
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    return cuts[9], cuts[18]

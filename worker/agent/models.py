"""What the model server beside this worker says of itself, for heartbeats and for Prometheus."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from tasks.protocol import MOST_MODELS, MOST_REFERENCE, ModelServerStats
from worker.models.supervise import ping
from worker.models.wire import Health, Stats

log = logging.getLogger("d8.agent")

#: A heartbeat does not wait for a server that is busy with itself: its numbers come with a later one.
_PATIENCE_S = 0.5


def read_model_server(
    socket_path: Path, ask: Callable[[Path], Health | None] | None = None
) -> ModelServerStats | None:
    """The numbers, or None where there is no server, it is not quick, or it says what cannot be told.
    Never raises: numbers are no reason to miss a heartbeat."""
    try:
        health = (ask or _ask)(socket_path)
        return None if health is None else to_message(health.stats)
    except Exception:  # whatever it is, the worker is alive and says so
        log.debug("model_server_not_read socket=%s", socket_path, exc_info=True)
        return None


def to_message(stats: Stats) -> ModelServerStats:
    """What the master is told of a server's counters."""
    return ModelServerStats(
        models=tuple(reference[:MOST_REFERENCE] for reference in stats.models[:MOST_MODELS]),
        waiting=stats.queue_depth,
        rows=stats.rows,
        max_rows=stats.max_rows,
        occupancy=stats.occupancy,
        prefix_hit_rate=stats.prefix_hit_rate,
        padding_share=stats.padding_share,
        tokens_per_s=stats.tokens_per_s,
        latency_p50_s=stats.latency_p50_s,
        latency_p95_s=stats.latency_p95_s,
        memory_mib=stats.memory_mib,
        gpu_memory_mib=stats.gpu_memory_mib,
        done=stats.done,
        cancelled=stats.cancelled,
        expired=stats.expired,
        rejected=stats.rejected,
        failed=stats.failed,
        kept=stats.kept,
        prompt_tokens=stats.prompt_tokens,
        generated_tokens=stats.generated_tokens,
    )


def _ask(socket_path: Path) -> Health | None:
    return ping(socket_path, timeout_s=_PATIENCE_S)

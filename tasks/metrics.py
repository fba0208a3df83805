"""The model servers' numbers for Prometheus, as master and workers both show them.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text, 0.0.4); names and units by
https://prometheus.io/docs/practices/naming/: base units, so seconds and bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from tasks.protocol import ModelServerStats

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_MIB = 2**20

Read = Callable[[ModelServerStats], float]

_GAUGES: tuple[tuple[str, str, Read], ...] = (
    (
        "waiting_items",
        "Items accepted and not yet ended, those being computed included.",
        lambda s: s.waiting,
    ),
    ("rows", "Texts that are being generated now.", lambda s: s.rows),
    ("max_rows", "Texts that may be generated at once.", lambda s: s.max_rows),
    ("occupancy_rows", "Mean number of rows in a decoding pass since the start.", lambda s: s.occupancy),
    (
        "prefix_hit_ratio",
        "Share of shared beginnings that were computed already, 0 to 1.",
        lambda s: s.prefix_hit_rate,
    ),
    (
        "padding_ratio",
        "Share of what was computed that held no token, 0 to 1.",
        lambda s: s.padding_share,
    ),
    (
        "tokens_per_second",
        "Prompt and generated tokens in a second of computing, since the start.",
        lambda s: s.tokens_per_s,
    ),
    ("latency_p50_seconds", "Median time of the latest items, waiting included.", lambda s: s.latency_p50_s),
    (
        "latency_p95_seconds",
        "95th percentile of the time of the latest items, waiting included.",
        lambda s: s.latency_p95_s,
    ),
    ("memory_bytes", "Memory of the model server's process.", lambda s: s.memory_mib * _MIB),
    (
        "gpu_memory_bytes",
        "GPU memory that the model server has allocated.",
        lambda s: s.gpu_memory_mib * _MIB,
    ),
)

_COUNTERS: tuple[tuple[str, str, Read], ...] = (
    ("kept_answers", "Items answered by a kept answer to an equal request.", lambda s: s.kept),
    ("prompt_tokens", "Tokens of all prompts, computed or not.", lambda s: s.prompt_tokens),
    ("generated_tokens", "Tokens generated.", lambda s: s.generated_tokens),
)

_OUTCOMES = ("done", "cancelled", "expired", "rejected", "failed")


def render_model_metrics(servers: Mapping[str, ModelServerStats | None]) -> bytes:
    """By worker, as ``CONTENT_TYPE``. A worker without a running model server (None) is down, and has no
    other numbers: old ones would look like new ones."""
    from prometheus_client.exposition import generate_latest
    from prometheus_client.registry import Collector

    class Servers(Collector):
        def collect(self) -> Iterable[Metric]:
            return _families(servers)

    return generate_latest(Servers())


def _families(servers: Mapping[str, ModelServerStats | None]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    up = GaugeMetricFamily(
        "d8_model_server_up", "Whether the worker's model server answers.", labels=["worker"]
    )
    loaded = GaugeMetricFamily("d8_model_loaded", "1 for each loaded model.", labels=["worker", "model"])
    ended = CounterMetricFamily("d8_model_items", "Items, by how they ended.", labels=["worker", "outcome"])
    for worker, stats in servers.items():
        up.add_metric([worker], float(stats is not None))
        for model in dict.fromkeys(stats.models if stats is not None else ()):
            loaded.add_metric([worker, model], 1.0)
        for outcome in _OUTCOMES if stats is not None else ():
            ended.add_metric([worker, outcome], getattr(stats, outcome))
    yield from (up, loaded, ended)
    for family, numbers in ((GaugeMetricFamily, _GAUGES), (CounterMetricFamily, _COUNTERS)):
        for name, text, read in numbers:
            made = family(f"d8_model_{name}", text, labels=["worker"])
            for worker, stats in servers.items():
                if stats is not None:
                    made.add_metric([worker], read(stats))
            yield made

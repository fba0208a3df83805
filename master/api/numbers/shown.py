"""The numbers as Prometheus reads them. Labels hold no ids: states, lanes, tasks of the catalog, host names.

Names by https://prometheus.io/docs/practices/naming/; money is in minor units, as everywhere in D8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from master.api.numbers.counted import Counted
from master.api.numbers.disk import Disk
from master.api.numbers.now import OTHER, FleetNow
from master.dispatch.refusals import RefusalReason
from tasks.catalog import TASKS
from tasks.protocol import Failure

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_MIB = 2**20
_IN_FLIGHT = ("ready", "queued", "running")
_WORKERS = ("joining", "active", "draining", "wrong_build", "quarantined", "offline")


def render_numbers(
    now: FleetNow, counted: Counted, disk: Disk, refusals: Mapping[str, int], build: str
) -> bytes:
    """As ``tasks.metrics.CONTENT_TYPE``."""
    from prometheus_client.exposition import generate_latest
    from prometheus_client.registry import Collector

    class Fleet(Collector):
        def collect(self) -> Iterable[Metric]:
            yield _gauge("d8_build_info", "1; the build that the master runs.", {build: 1}, "build")
            yield from _of_work(now)
            yield from _of_machines(now)
            yield from _of_the_owner(now)
            yield from _of_disk(disk)
            yield from _of_counts(counted, refusals)

    return generate_latest(Fleet())


def _of_work(now: FleetNow) -> Iterator[Metric]:
    steps = {state: now.steps.get(state, 0) for state in _IN_FLIGHT}
    yield _gauge("d8_steps", "Steps that have not ended, by state.", steps, "state")
    runs = {state: now.runs.get(state, 0) for state in ("running", "waiting")}
    yield _gauge("d8_runs", "Runs that have not ended, by state.", runs, "state")
    yield _gauge(
        "d8_lane_waiting_steps",
        "Steps that wait for a worker, of the 10000 oldest, by the lane that suits them best.",
        {lane: found.waiting for lane, found in now.lanes.items()},
        "lane",
    )
    yield _gauge(
        "d8_lane_oldest_waiting_seconds",
        "Age of the step that has waited longest for a worker; 0 when none waits.",
        {lane: found.oldest_s for lane, found in now.lanes.items()},
        "lane",
    )
    yield _gauge("d8_dispatch_paused", "1 while the owner has paused dispatch.", {"": int(now.paused)})


def _of_machines(now: FleetNow) -> Iterator[Metric]:
    workers = {state: now.workers.get(state, 0) for state in _WORKERS}
    yield _gauge("d8_workers", "Workers, by state.", workers, "state")
    yield _gauge(
        "d8_host_gpu_memory_bytes",
        "Memory of all GPUs of the host.",
        {host: gpus.memory_mib * _MIB for host, gpus in now.gpus.items()},
        "host",
    )
    yield _gauge(
        "d8_host_gpu_memory_used_bytes",
        "Memory in use of all GPUs of the host, whoever uses it.",
        {host: gpus.used_mib * _MIB for host, gpus in now.gpus.items()},
        "host",
    )
    yield _gauge(
        "d8_host_gpu_use_ratio",
        "Mean use of the host's GPUs, 0 to 1, as of its last heartbeat.",
        {host: gpus.use for host, gpus in now.gpus.items() if gpus.use is not None},
        "host",
    )
    up = {worker: int(stats is not None) for worker, stats in now.model_servers.items()}
    yield _gauge("d8_model_server_up", "Whether the worker's model server answers.", up, "worker")
    answering = [stats for stats in now.model_servers.values() if stats is not None]
    yield _gauge(
        "d8_fleet_model_waiting_items",
        "Items accepted by model servers and not yet ended.",
        {"": sum(stats.waiting for stats in answering)},
    )
    yield _gauge(
        "d8_fleet_model_rows",
        "Texts that model servers are generating now.",
        {"": sum(stats.rows for stats in answering)},
    )


def _of_the_owner(now: FleetNow) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    yield _gauge("d8_approvals_waiting", "Requests that wait for a decision.", {"": now.approvals_waiting})
    yield _gauge(
        "d8_approvals_oldest_seconds",
        "Age of the request that has waited longest; 0 when none waits.",
        {"": now.oldest_approval_s},
    )
    labels = ["category", "currency"]
    spent = GaugeMetricFamily(
        "d8_month_spent_minor", "Paid this month, in the currency's minor units.", labels=labels
    )
    held = GaugeMetricFamily(
        "d8_month_held_minor", "Reserved this month and not yet paid, in minor units.", labels=labels
    )
    for line in now.spent:
        spent.add_metric([line.category, line.currency], line.spent_minor)
        held.add_metric([line.category, line.currency], line.held_minor)
    yield from (spent, held)


def _of_disk(disk: Disk) -> Iterator[Metric]:
    yield _gauge("d8_database_bytes", "Size of the database.", {"": disk.size_bytes})
    yield _counter(
        "d8_database_written_bytes",
        "Written to disk: Postgres' write-ahead log, or with SQLite all that the API's process wrote.",
        {"": disk.written_bytes},
    )


def _of_counts(counted: Counted, refusals: Mapping[str, int]) -> Iterator[Metric]:
    from prometheus_client.core import SummaryMetricFamily

    attempts = {outcome: counted.attempts[outcome] for outcome in ("done", *Failure)}
    yield _counter("d8_attempts", "Attempts that ended, by outcome.", attempts, "outcome")
    yield _counter("d8_lease_expiries", "Claims whose lease ran out.", {"": counted.expired_leases})
    refused = {str(reason): refusals.get(reason, 0) for reason in RefusalReason}
    yield _counter("d8_refused_claims", "Claims that were refused, by reason.", refused, "reason")
    durations = SummaryMetricFamily(
        "d8_step_duration_seconds", "From claim to result, of steps that were done.", labels=["task"]
    )
    known = {task.name for task in TASKS}
    for task in [*sorted(known & counted.steps.keys()), OTHER]:
        names = [task] if task != OTHER else [name for name in counted.steps if name not in known]
        if names:
            count = sum(counted.steps[name] for name in names)
            durations.add_metric([task], count, sum(counted.seconds[name] for name in names))
    yield durations


def _gauge(name: str, text: str, values: Mapping[str, float], label: str = "") -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return _filled(GaugeMetricFamily(name, text, labels=[label] if label else []), values, label)


def _counter(name: str, text: str, values: Mapping[str, float], label: str = "") -> Metric:
    """``name`` without the ``_total`` that it gets."""
    from prometheus_client.core import CounterMetricFamily

    return _filled(CounterMetricFamily(name, text, labels=[label] if label else []), values, label)


def _filled(family: Metric, values: Mapping[str, float], label: str) -> Metric:
    total = "_total" if family.type == "counter" else ""
    for value, number in values.items():
        family.add_sample(family.name + total, {label: str(value)} if label else {}, number)
    return family

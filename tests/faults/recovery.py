"""How long it takes until a step that was hit runs again, with the product's default settings."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import time

from tests.faults.stage import Stage
from tests.support import wait_until


def measure_recovery(stage: Stage, times: int) -> dict[str, float]:
    """Median seconds: a killed child, a killed host, a broker killed and started again at once."""
    found: dict[str, list[float]] = {"child": [], "host": [], "broker": []}
    for number in range(times):
        for name, measure in (("child", _child), ("host", _host), ("broker", _broker)):
            found[name].append(measure(stage, f"{name}-{number}"))
            print(f"recovery of a {name}: {found[name][-1]:.1f} s", flush=True)
            stage.wait_whole()
    return {name: round(statistics.median(values), 2) for name, values in found.items()}


def _child(stage: Stage, key: str) -> float:
    """From the kill of the process to the claim of the next attempt."""
    run_id = stage.submit("noop", {"steps": 1, "duration_s": 600}, key)
    worker = _claimed(stage, run_id, 1)
    host = next(host for host in stage.hosts if host.name == worker)
    began = time.monotonic()
    # Which of them runs the step is not seen from outside: all of them.
    for pid in host.children():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _claimed(stage, run_id, 2)
    took_s = time.monotonic() - began
    stage.api().post(f"/api/runs/{run_id}/cancel")
    return took_s


def _host(stage: Stage, key: str) -> float:
    """From the plug being pulled to the claim of the next attempt elsewhere."""
    run_id = stage.submit("noop", {"steps": 1, "duration_s": 600}, key)
    worker = _claimed(stage, run_id, 1)
    host = next(host for host in stage.hosts if host.name == worker)
    began = time.monotonic()
    host.kill()
    _claimed(stage, run_id, 2)
    took_s = time.monotonic() - began
    stage.api().post(f"/api/runs/{run_id}/cancel")
    host.start()
    return took_s


def _broker(stage: Stage, key: str) -> float:
    """From the kill of RabbitMQ, which is started again at once, to the end of a step submitted then."""
    began = time.monotonic()
    stage.rabbitmq.kill()
    run_id = stage.submit("noop", {"steps": 1}, key)
    stage.rabbitmq.restart()
    wait_until(lambda: stage.count_outcomes([run_id]) == 1, 120, "a step runs after the broker's restart")
    return time.monotonic() - began


def _claimed(stage: Stage, run_id: str, attempt: int) -> str:
    """The worker that was granted this attempt."""

    def look() -> str:
        with stage.sql() as cursor:
            cursor.execute(
                "SELECT a.worker FROM attempts a JOIN steps s ON s.id = a.step_id"
                " WHERE s.run_id = %s AND a.attempt >= %s AND s.state = 'running' AND a.attempt = s.attempt",
                (run_id, attempt),
            )
            row = cursor.fetchone()
            return "" if row is None else str(row[0])

    return wait_until(look, 120, f"attempt {attempt} of {run_id} is claimed")

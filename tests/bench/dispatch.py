"""``scripts/bench dispatch``: durable steps through D8 against bare Celery tasks, on one broker.

Both use the same number of worker processes. Rounds alternate; figures are medians over rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from master.broker import free_port
from master.cli.base import Api, connect, start_run
from tasks.files import ROOT

ENDED = ("done", "failed", "cancelled")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench dispatch", description=__doc__)
    parser.add_argument("--steps", type=int, default=3000, help="steps, and tasks, of one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--starts", type=int, default=100, help="single steps for the time from submit to start"
    )
    parser.add_argument("--slots", type=int, default=2, help="worker processes of each side")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="d8-bench-") as home:
        os.environ.update(D8_HOME=home, D8_PORT=str(free_port()), D8_MODEL="fake:")
        with _started([sys.executable, "-m", "master.cli", "up", "--no-flower"]) as master:
            api = _wait_for_master(Path(home))
            os.environ["BENCH_BROKER"] = (Path(home) / "run" / "broker.url").read_text().strip()
            slots = str(options.slots)
            with (
                _started([sys.executable, "-m", "worker.cli", "start", "--name", "bench", "--slots", slots]),
                _started(
                    [sys.executable, "-m", "celery", "-A", "tests.bench.bare_celery", "worker", "-Q", "bare",
                     "-n", "bare@bench", "-c", slots, "--without-gossip", "--without-mingle", "-l", "ERROR"]
                ),
            ):  # fmt: skip
                _report(_measure(api, master, options))


def _measure(
    api: Api, master: subprocess.Popen[bytes], options: argparse.Namespace
) -> dict[str, list[float]]:
    _wait(lambda: any(worker["state"] == "active" for worker in api.items("/api/workers")), "the worker")
    _d8_round(api, 200)
    _celery_round(200)
    seen: dict[str, list[float]] = {"d8": [], "celery": [], "cpu_ms": []}
    for number in range(options.rounds):
        before = _cpu_s(master)
        seen["d8"].append(_d8_round(api, options.steps))
        seen["cpu_ms"].append((_cpu_s(master) - before) * 1000 / options.steps)
        seen["celery"].append(_celery_round(options.steps))
        print(
            f"round {number + 1}: D8 {seen['d8'][-1]:.0f} durable steps/s, bare Celery {seen['celery'][-1]:.0f} "
            f"tasks/s, master {seen['cpu_ms'][-1]:.2f} ms of CPU a step",
            flush=True,
        )
    seen["start_ms"] = [_start_ms(api) for _ in range(options.starts)]
    return seen


def _report(seen: dict[str, list[float]]) -> None:
    steps, tasks = statistics.median(seen["d8"]), statistics.median(seen["celery"])
    starts = statistics.quantiles(seen["start_ms"], n=100, method="inclusive")
    print(
        json.dumps(
            {
                "durable_steps_per_s": round(steps, 1),
                "celery_tasks_per_s": round(tasks, 1),
                "ratio": round(steps / tasks, 3),
                "start_p50_ms": round(starts[49], 1),
                "start_p99_ms": round(starts[98], 1),
                "master_cpu_ms_per_step": round(statistics.median(seen["cpu_ms"]), 3),
            }
        )
    )


def _d8_round(api: Api, steps: int) -> float:
    """Durable steps per second: from the submission to the run's recorded end."""
    started = time.monotonic()
    run = _finish(api, start_run(api, flow="noop", params={"steps": steps}), pause_s=0.05)
    assert run["result"]["steps"] == steps, run
    return steps / (time.monotonic() - started)


def _celery_round(tasks: int) -> float:
    from tests.bench.bare_celery import noop

    started = time.monotonic()
    results = [noop.delay(str(number)) for number in range(tasks)]
    assert [result.get(timeout=300) for result in results] == [str(number) for number in range(tasks)]
    return tasks / (time.monotonic() - started)


def _start_ms(api: Api) -> float:
    """Milliseconds from the submission of a run to the start of its only step, on an idle fleet."""
    submitted = time.time()
    run = _finish(api, start_run(api, flow="noop", params={}), pause_s=0.02)
    return float(run["result"]["first_started_at_s"] - submitted) * 1000


def _finish(api: Api, run_id: str, *, pause_s: float) -> dict[str, Any]:
    while True:
        run = next(run for run in api.items("/api/runs", most=1) if run["id"] == run_id)
        if run["state"] in ENDED:
            found: dict[str, Any] = api.get(f"/api/runs/{run_id}")
            return found
        time.sleep(pause_s)


def _cpu_s(master: subprocess.Popen[bytes]) -> float:
    """CPU seconds so far of the master's processes: API and duties, not the broker or the worker."""
    total = 0.0
    for process in psutil.Process(master.pid).children(recursive=True):
        command = " ".join(process.cmdline())
        if "master.api" in command or "master.app" in command:
            times = process.cpu_times()
            total += times.user + times.system
    return total


@contextlib.contextmanager
def _started(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _wait_for_master(home: Path) -> Api:
    _wait((home / "run" / "master.url").exists, "the master")
    api = connect()
    _wait(lambda: _answers(api), "the API")
    return api


def _answers(api: Api) -> bool:
    from tasks.errors import Unreachable

    try:
        return bool(api.get("/api/status"))
    except Unreachable:
        return False


def _wait(ready: Any, what: str, timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > end:
            raise SystemExit(f"{what} did not come up within {timeout_s:.0f} s")
        time.sleep(0.1)


if __name__ == "__main__":
    main()

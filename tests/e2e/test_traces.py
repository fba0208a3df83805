"""One trace a step, from the master, the worker and the sandbox."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.tracing import span_of, trace_of
from tests.collector import Collector
from tests.conftest import StartProcess
from tests.e2e.fleet import Fleet
from tests.support import ROOT, wait_until

SECRET = "the-owner's-own-words"


def test_a_step_is_one_trace_across_master_worker_and_sandbox(
    start_process: StartProcess, d8_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Collector() as collector:
        monkeypatch.setenv("D8_OTEL_ENDPOINT", collector.url)
        monkeypatch.setenv("D8_EXECUTORS", "native")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=studio")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        fleet = Fleet(start_process, d8_home)
        fleet.start_master()
        fleet.start_worker("one")
        code = f"outputs = {{'n': len({SECRET!r})}}"
        run_id = fleet.start("python", {"code": code, "trusted": True, "executor": "native"})
        step = fleet.wait_done(run_id)["steps"][0]
        trace = f"{trace_of(run_id, step['id']):032x}"

        def told() -> dict[str, dict[str, Any]] | None:
            found = {span["name"]: span for span in collector.spans() if span["trace"] == trace}
            return found if len(found) == 5 else None

        spans = wait_until(told, 60, "the whole trace is told", lambda: str(collector.spans()))
        assert {name: span["service"] for name, span in spans.items()} == {
            "python.execute": "d8-master",
            "queued": "d8-master",
            "attempt": "d8-master",
            "handle": "d8-worker",
            "sandbox": "d8-worker",
        }
        root, attempt, handle, sandbox = (
            spans[name] for name in ("python.execute", "attempt", "handle", "sandbox")
        )
        assert root["parent"] == ""
        assert root["events"] == ["created", "claimed", "result"]
        assert root["id"] == f"{span_of('step', run_id, step['id']):016x}"
        assert (attempt["parent"], spans["queued"]["parent"]) == (root["id"], root["id"])
        assert (handle["parent"], sandbox["parent"]) == (attempt["id"], handle["id"])
        assert attempt["attributes"]["d8.worker"] == "one"
        assert sandbox["attributes"] == {"d8.executor": "native"}
        assert not any(span["failed"] for span in spans.values())
        assert all(span["started_ns"] <= span["ended_ns"] for span in spans.values())
        assert collector.headers["x-team"] == "studio", "the standard variables count"
        assert SECRET.encode() not in collector.raw, "ids and names, never what is in a payload"


def test_nothing_of_opentelemetry_is_loaded_while_it_is_off() -> None:
    code = (
        "import sys, master.app, master.duties, worker.runner, worker.sandbox.execute\n"
        "found = [name for name in sys.modules if name.startswith(('opentelemetry', 'google.protobuf'))]\n"
        "assert found == [], found"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

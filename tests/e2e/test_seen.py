"""The fleet as Celery's own tools, Flower and Prometheus see it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import StartProcess
from tests.e2e.fleet import Fleet
from tests.support import ROOT, free_port, wait_until


@pytest.fixture
def fleet(start_process: StartProcess, d8_home: Path) -> Fleet:
    return Fleet(start_process, d8_home)


def _inspect(command: str) -> Any:
    """What the worker answers; Celery waits for a second by default, which says nothing about the worker."""
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker.app", "inspect", command, "--json", "-t", "10",
         "-d", "d8@one"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["d8@one"]


def test_celery_inspect_shows_the_worker_with_its_build_and_hardware(fleet: Fleet) -> None:
    fleet.start_master()
    fleet.start_worker("one")
    assert _inspect("ping") == {"ok": "pong"}
    version = _inspect("d8_version")
    assert (version["build"], version["state"]) == (fleet.workers()["one"]["build"], "active")
    hardware = _inspect("d8_hardware")
    assert hardware["cpus"] >= 1
    assert hardware["executors"] == fleet.workers()["one"]["hardware"]["executors"]


def test_flower_shows_the_worker_behind_its_password(
    fleet: Fleet, start_process: StartProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("D8_FLOWER_PORT", str(port))
    master = fleet.start_master(flower=True)
    fleet.start_worker("one")
    url = f"http://127.0.0.1:{port}/api/workers?refresh=1"
    login = (fleet.home / "secrets" / "flower.password").read_text().strip()

    def shown() -> bool:
        try:
            answer = urllib3.request(
                "GET", url, headers=urllib3.make_headers(basic_auth=login), retries=False
            )
        except urllib3.exceptions.HTTPError:
            return False
        return answer.status == 200 and "d8@one" in answer.json()

    wait_until(shown, 60, "Flower shows the worker", master.tail)
    assert urllib3.request("GET", url, retries=False).status == 401


def _scrape(url: str, **headers: str) -> dict[str, float]:
    """Name -> value, of the samples of worker "one" that are of nothing narrower."""
    answer = urllib3.request("GET", url, headers=headers, retries=False)
    assert answer.status == 200, answer.data
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(answer.data.decode())
        for sample in family.samples
        if sample.labels == {"worker": "one"}
    }


def test_model_servers_numbers_reach_the_owner_prometheus_and_the_steps_record(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    for name, value in (("AGENT_PORT", str(port)), ("MODEL", "fake:"), ("EMBEDDING_MODEL", "fake:")):
        monkeypatch.setenv(f"D8_{name}", value)
    fleet.start_master()
    worker = fleet.start_worker("one")
    messages = str(ROOT / "examples" / "messages.jsonl")
    small = ("--generations", "0", "--population", "3", "--examples", "8", "--shard", "8")
    run = fleet.wait_done(fleet.ask("darwin", "start", messages, *small, "--no-wait")["id"])

    # The fake model counts nothing, but it is loaded.
    wait_until(
        lambda: (fleet.workers()["one"]["model_server"] or {}).get("models") == ["fake:"],
        30, "a heartbeat after the run", worker.tail,
    )  # fmt: skip
    own = _scrape(f"http://127.0.0.1:{port}/metrics")
    assert own["d8_model_server_up"] == 1
    assert own["d8_model_memory_bytes"] > 2**20
    token = (fleet.home / "secrets" / "owner.token").read_text().strip()
    master = f"http://127.0.0.1:{fleet.env['D8_PORT']}/metrics/models"
    assert _scrape(master, Authorization=f"Bearer {token}").keys() == own.keys()
    assert urllib3.request("GET", master, retries=False).status == 401

    used = {step["task"]: step["usage"] for step in run["steps"] if step["usage"]}
    assert used.keys() >= {"darwin.evaluate", "darwin.index"}
    for usage in used.values():
        assert [(model["model"], model["dtype"]) for model in usage["models"]] == [("fake:", "none")]
        assert len(usage["models"][0]["sha256"]) == 64
        assert usage["prompt_tokens"] > 0

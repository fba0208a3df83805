"""The fleet as Celery's own tools and Flower see it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import urllib3

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

"""A machine joins with an invite, changes to a new build under load, and is taken out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import urllib3

from master.cli.base import connect
from tests.conftest import StartProcess
from tests.e2e.fleet import Fleet, copy_code, environment_of, worker_cli
from tests.support import ROOT, Process, free_port, wait_until


@pytest.fixture
def fleet(start_process: StartProcess, d8_home: Path) -> Fleet:
    return Fleet(start_process, d8_home)


def _join(fleet: Fleet, home: Path, name: str) -> dict[str, str]:
    invite: dict[str, str] = fleet.ask("worker", "invite", name)
    done = worker_cli(home, "join", invite["url"], invite["code"], "--name", name)
    assert done.returncode == 0, done.stderr
    return invite


def _start(
    start_process: StartProcess, fleet: Fleet, home: Path, name: str, root: Path = ROOT, **more: str
) -> Process:
    worker = start_process(
        [sys.executable, "-m", "worker.cli", "start", "--slots", "2"],
        env={**environment_of(home, **more), "PYTHONPATH": str(root)},
        cwd=root,
        name=name,
    )
    wait_until(
        lambda: fleet.workers()[name]["state"] not in ("joining", "offline"), 60, f"{name} works", worker.tail
    )
    return worker


def test_invite_makes_one_machine_a_worker_and_removing_it_ends_that_at_once(
    fleet: Fleet, start_process: StartProcess, tmp_path: Path
) -> None:
    fleet.start_master()
    home = tmp_path / "garage"
    invite = _join(fleet, home, "garage")
    assert fleet.workers()["garage"]["state"] == "joining"
    again = worker_cli(tmp_path / "other", "join", invite["url"], invite["code"], "--name", "garage")
    assert again.returncode == 4
    assert "was used" in again.stderr
    port = free_port()
    worker = _start(start_process, fleet, home, "garage", D8_AGENT_PORT=str(port))
    fleet.wait_done(fleet.start_noop(4))

    told = urllib3.request("GET", f"http://127.0.0.1:{port}/api/version").json()
    assert told["build"] == fleet.workers()["garage"]["build"]
    assert urllib3.request("GET", f"http://127.0.0.1:{port}/api/health").json()["state"] == "active"

    held = fleet.start_noop(1, duration_s=60)
    fleet.wait_step(held, "running")
    fleet.tell("worker", "remove", "garage", "--yes")
    assert "garage" not in fleet.workers()
    step = fleet.show(held)["steps"][0]
    assert step["state"] in ("ready", "queued")
    membership = json.loads((home / "secrets" / "membership.json").read_text())
    answer = urllib3.request(
        "POST",
        f"{invite['url']}/worker/heartbeat",
        headers={"Authorization": f"Bearer {membership['joined']['token']}"},
        body=b"{}",
    )
    assert answer.status == 401
    worker.stop()


def test_token_of_one_worker_does_not_speak_for_another(fleet: Fleet, tmp_path: Path) -> None:
    fleet.start_master()
    invite = _join(fleet, tmp_path / "one", "one")
    token = json.loads((tmp_path / "one" / "secrets" / "membership.json").read_text())["joined"]["token"]
    body = {
        "worker": "two",
        "session": "session-1",
        "step": 1,
        "attempt": 1,
        "build": "x",
        "claim": "claim-01",
    }
    answer = urllib3.request(
        "POST", f"{invite['url']}/worker/claim", json=body, headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status == 409
    assert "'one'" in answer.json()["detail"]


def test_command_of_an_invite_sets_up_a_bare_machine(fleet: Fleet, tmp_path: Path) -> None:
    """As far as the environment, which a test does not install again: a stand-in takes its place."""
    fleet.start_master()
    invite = fleet.ask("worker", "invite", "bare")
    build = fleet.ask("status")["build"]
    command = invite["command"].replace(
        "sh d8-join.sh",
        f'sed -i \'s#^"$folder/scripts/env".*#ln -s {sys.prefix} "$folder/.venv"#\' d8-join.sh'
        " && sh d8-join.sh --no-start",
    )
    place = tmp_path / "bare"
    place.mkdir()
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=place,
        env={"PATH": os.environ["PATH"], "HOME": str(place), "D8_HOME": str(place / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (place / "home" / "releases" / build / "worker" / "cli.py").exists()
    assert fleet.workers()["bare"]["state"] == "joining"


def test_three_workers_change_to_a_new_build_under_load(
    fleet: Fleet, start_process: StartProcess, tmp_path: Path
) -> None:
    master = fleet.start_master()
    names = ("alpha", "beta", "gamma")
    for name in names:
        _join(fleet, tmp_path / name, name)
        _start(start_process, fleet, tmp_path / name, name, D8_AUTO_UPDATE="1")
    old_build = fleet.ask("status")["build"]
    run_id = fleet.start_noop(100, duration_s=1)
    fleet.wait_step(run_id, "running")

    new = copy_code(tmp_path / "new")
    handler = new / "worker" / "handlers" / "fleet_noop.py"
    handler.write_text(handler.read_text() + "\n# another build\n")
    master.stop()
    fleet.start_master(new)
    new_build = fleet.ask("status")["build"]
    assert new_build != old_build
    run = fleet.wait_done(run_id, 180)
    assert {step["build"] for step in run["steps"]} <= {old_build, new_build}
    wait_until(
        lambda: all(
            (fleet.workers()[name]["state"], fleet.workers()[name]["build"]) == ("active", new_build)
            for name in names
        ),
        90,
        "all three are on the new build",
        lambda: json.dumps(fleet.workers(), indent=1),
    )
    after = fleet.wait_done(fleet.start_noop(30))
    assert {step["build"] for step in after["steps"]} == {new_build}
    for attempt in connect().items(f"/api/runs/{run_id}/attempts"):
        assert attempt["build"] in (old_build, new_build)
        assert attempt["outcome"] in ("done", "lost")


def test_build_that_does_not_prove_itself_is_taken_back(
    fleet: Fleet, start_process: StartProcess, tmp_path: Path
) -> None:
    master = fleet.start_master()
    _join(fleet, tmp_path / "alpha", "alpha")
    _start(start_process, fleet, tmp_path / "alpha", "alpha")
    old_build = fleet.workers()["alpha"]["build"]
    new = copy_code(tmp_path / "new")
    handler = new / "worker" / "handlers" / "niche_group.py"
    handler.write_text(handler.read_text() + "\nimport a_library_that_is_not_there\n")
    master.stop()
    fleet.start_master(new)
    wait_until(lambda: fleet.workers()["alpha"]["state"] == "wrong_build", 60, "alpha is outdated")
    fleet.tell("worker", "update", "alpha")
    wait_until(
        lambda: fleet.workers()["alpha"]["update_error"],
        90,
        "the update is undone",
        lambda: json.dumps(fleet.workers(), indent=1),
    )
    alpha = fleet.workers()["alpha"]
    assert (alpha["state"], alpha["build"]) == ("wrong_build", old_build)
    assert "a_library_that_is_not_there" in alpha["update_error"]

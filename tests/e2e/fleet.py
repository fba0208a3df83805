"""A real fleet of processes, from this checkout or from a copy of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import StartProcess
from tests.support import ROOT, Process, free_port, wait_until

#: What a machine needs to be a master or a worker.
_CODE = ("master", "tasks", "worker", "scripts", "celeryconfig.py", "requirements", "requirements.txt")


def copy_code(target: Path) -> Path:
    """The product's code in another folder: another build, once something in it is changed."""
    for name in _CODE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    return target


def environment_of(home: Path, **more: str) -> dict[str, str]:
    """A machine of its own: nothing of the master's home or settings."""
    return {"D8_HOME": str(home), "D8_PORT": "", "D8_AGENT_PORT": "0", "PYTHONPATH": str(ROOT), **more}


def worker_cli(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A worker's own command, on a machine of its own."""
    return subprocess.run(
        [sys.executable, "-m", "worker.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment_of(home)},
        capture_output=True,
        text=True,
        check=False,
    )


class Fleet:
    """Starts masters and workers of one home and asks the master's command line."""

    def __init__(self, start_process: StartProcess, home: Path) -> None:
        self._start = start_process
        self.home = home
        self.env = {
            "D8_HOME": str(home),
            "D8_PORT": str(free_port()),
            "D8_LEASE_S": "5",
            "D8_HEARTBEAT_S": "2",
            "D8_RING_AGAIN_S": "1",
            "D8_AGENT_PORT": "0",
        }
        os.environ.update(self.env)

    def start_master(self, root: Path = ROOT, *, flower: bool = False) -> Process:
        master = self._start(
            [
                sys.executable,
                "-m",
                "master.cli",
                "up",
                "--workers",
                "0",
                "--flower" if flower else "--no-flower",
            ],
            env={"PYTHONPATH": str(root)},
            cwd=root,
            name="master",
        )
        master.wait_for_line("The master runs", 90)
        return master

    def start_worker(self, name: str, *, root: Path = ROOT, slots: int = 2, state: str = "active") -> Process:
        worker = self._start(
            [sys.executable, "-m", "worker.cli", "start", "--name", name, "--slots", str(slots)],
            env={"PYTHONPATH": str(root)},
            cwd=root,
            name=name,
        )
        wait_until(
            lambda: self.workers().get(name, {}).get("state") == state, 60, f"{name} is {state}", worker.tail
        )
        return worker

    def ask(self, *arguments: str) -> Any:
        """What ``d8 ... --json`` prints."""
        answer = subprocess.run(
            [sys.executable, "-m", "master.cli", *arguments, "--json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    def tell(self, *arguments: str) -> None:
        """A command that prints nothing for programs."""
        answer = self.fail(*arguments)
        assert answer.returncode == 0, answer.stderr

    def fail(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command, however it ends."""
        return subprocess.run(
            [sys.executable, "-m", "master.cli", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, flow: str, params: dict[str, Any]) -> str:
        return str(self.ask("run", "start", flow, "--params", json.dumps(params), "--no-wait")["id"])

    def start_noop(self, steps: int, duration_s: float = 0.0) -> str:
        return self.start("noop", {"steps": steps, "duration_s": duration_s})

    def workers(self) -> dict[str, Any]:
        return {worker["name"]: worker for worker in self.ask("worker", "list")}

    def show(self, run_id: str) -> Any:
        return self.ask("run", "show", run_id)

    def wait_done(self, run_id: str, timeout_s: float = 120) -> Any:
        """The run once it has ended; it must have ended well."""
        wait_until(
            lambda: self.show(run_id)["state"] not in ("running", "waiting"), timeout_s, f"{run_id} ends"
        )
        run = self.show(run_id)
        assert run["state"] == "done", run["error"]
        return run

    def wait_step(self, run_id: str, state: str, timeout_s: float = 60) -> Any:
        """The first step of the run that is in this state."""
        return wait_until(
            lambda: next((step for step in self.show(run_id)["steps"] if step["state"] == state), None),
            timeout_s,
            f"a step of {run_id} is {state}",
        )

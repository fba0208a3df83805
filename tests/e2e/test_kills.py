"""The demo's three workloads, with a part of the fleet killed at twenty random moments."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import StartProcess
from tests.support import ROOT, Process, free_port, wait_until

KILLS = 20
SEED = 20261121
ENDED = {"done", "failed", "cancelled"}

#: Small enough for a test, whole enough to go through every part.
JOBS = [
    [
        "darwin",
        "start",
        "examples/messages.jsonl",
        "--generations",
        "2",
        "--population",
        "4",
        "--examples",
        "14",
    ],
    ["niche", "start", "examples/keywords-spain-ranges.csv", "--domain-from", "0"],
    ["client", "add", "examples/brief.yaml"],
    ["run", "start", "noop", "--params", '{"steps": 300, "duration_s": 0.2}'],
]

#: What is killed, by a part of its command line; "" is the whole master.
VICTIMS = (
    "d8@killed-1",
    "d8@killed-2",
    "worker.models.server",
    "valkey-server",
    "master.api",
    "master.app",
    "",
)


def test_killing_any_part_at_random_moments_loses_nothing(d8_home: Path, start_process: StartProcess) -> None:
    env = {
        "D8_PORT": str(free_port()),
        "D8_LEASE_S": "6",
        "D8_HEARTBEAT_S": "5",
        "D8_RING_AGAIN_S": "1",
    }
    os.environ.update(env)
    chance = random.Random(SEED)
    master = _start_master(start_process)
    runs = [_start_job(job) for job in JOBS]

    killed: Counter[str] = Counter()
    for _ in range(KILLS):
        # A random moment, counted in what the fleet has done since the last kill.
        seen, further = _count(d8_home, "events"), chance.randint(1, 25)
        wait_until(
            lambda seen=seen, further=further: (
                _count(d8_home, "events") >= seen + further or _all_ended(d8_home) or _answer_all()
            ),
            120,
            "the fleet goes on after a kill",
            master.tail,
        )
        victim = chance.choice(VICTIMS)
        if victim:
            killed[victim] += _kill_one(d8_home, victim)
        else:
            killed["the whole master"] += 1
            _kill_all(d8_home, master)
            master = _start_master(start_process)

    def over() -> bool:
        _answer_all()
        return _all_ended(d8_home)

    wait_until(over, 400, "every run ends", lambda: json.dumps(_d8("run", "list", "--json"), indent=1))

    found = {run["id"]: run for run in _d8("run", "list", "--json")}
    assert {found[run]["state"] for run in runs} == {"done"}, found
    assert len([name for name in killed if killed[name]]) >= 4, killed
    with _database(d8_home) as database:
        recorded = database.execute("SELECT step_id, count(*) FROM outcomes GROUP BY step_id").fetchall()
        steps = database.execute("SELECT count(*) FROM steps").fetchone()[0]
        done = database.execute(
            "SELECT step_id, count(*) FROM events WHERE name = 'step_done' GROUP BY step_id"
        ).fetchall()
    assert len(recorded) == steps, "every step has an outcome"
    assert {count for _, count in recorded} == {1}
    assert {count for _, count in done} == {1}, "no step was recorded twice"


def _start_master(start_process: StartProcess) -> Process:
    """``d8 up`` with two workers, ready to answer."""
    code = (
        "import master.cli.up as up; up.worker_names = lambda n: ['killed-1', 'killed-2'];"
        "import sys; sys.argv = ['d8', 'up', '--workers', '2', '--no-flower'];"
        "from master.cli.main import main; main()"
    )
    master = start_process([sys.executable, "-c", code], name="up")
    master.wait_for_line("The master runs", 90)
    return master


def _start_job(job: list[str]) -> str:
    started = _d8(*job, "--no-wait", "--json")
    return str(started.get("run_id") or started["id"])


def _d8(*arguments: str) -> Any:
    answer = subprocess.run(
        [sys.executable, "-m", "master.cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout) if answer.stdout.strip() else None


def _answer_all() -> bool:
    """Approve whatever waits. The master may be away just now. Always False: this is no reason to go on."""
    from master.cli.base import connect
    from tasks.errors import D8Error

    try:
        api = connect()
        for one in api.items("/api/approvals", state="pending"):
            api.post(f"/api/approvals/{one['id']}/decision", {"approve": True})
    except D8Error:
        pass
    return False


def _database(home: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{home / 'd8.sqlite3'}?mode=ro", uri=True, timeout=30)


def _count(home: Path, table: str) -> int:
    database = _database(home)
    try:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    finally:
        database.close()


def _all_ended(home: Path) -> bool:
    database = _database(home)
    try:
        return {state for (state,) in database.execute("SELECT state FROM runs")} <= ENDED
    finally:
        database.close()


def _ours(home: Path) -> list[psutil.Process]:
    """Processes of this home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("D8_HOME") == str(home) and process.pid != os.getpid():
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def _kill_one(home: Path, victim: str) -> int:
    """kill -9 to the process with this in its command line, or to one of its children. Returns how many."""
    for process in _ours(home):
        try:
            if victim in " ".join(process.cmdline()):
                process.kill()
                return 1
        except psutil.NoSuchProcess:
            continue
    return 0


def _kill_all(home: Path, master: Process) -> None:
    """kill -9 to everything of this home at once, as a power cut would."""
    doomed = _ours(home)
    for process in doomed:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(doomed, timeout=30)
    master.kill_group()

"""``d8 up``: one per home, and nothing of it is left when it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import StartProcess
from tests.e2e.fleet import Fleet
from tests.e2e.test_kills import _ours
from tests.support import ROOT, wait_until


def test_second_master_in_one_home_is_refused_and_the_first_leaves_nothing_behind(
    start_process: StartProcess, d8_home: Path
) -> None:
    fleet = Fleet(start_process, d8_home)
    command = [sys.executable, "-m", "master.cli", "up", "--workers", "1", "--no-flower"]
    master = start_process(command, name="up")
    master.wait_for_line("The master runs", 90)
    wait_until(
        lambda: [w["state"] for w in fleet.workers().values()] == ["active"], 60, "its worker is active"
    )
    wait_until((d8_home / "run" / "models.sock").exists, 60, "its model server listens")

    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert second.returncode == 4
    assert f"process {master.pid}" in second.stderr

    master.signal(signal.SIGTERM)
    assert master.wait(60) == 0
    wait_until(lambda: not _ours(d8_home), 30, "every process of this home has ended")

"""Disks, clocks, a second master, another build, and steps that misbehave."""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path

from tests.faults.acting import Play, fault, hold
from tests.faults.clock import why_no_clock
from tests.support import Process, free_port


@fault("worker's disk full")
def fill_worker_disk(play: Play) -> None:
    _fill(play.any_host().home, play.chance.uniform(2, 6))


@fault("master's disk full")
def fill_master_disk(play: Play) -> None:
    _fill(play.stage.home, play.chance.uniform(2, 6))


def _fill(folder: Path, seconds: float) -> None:
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 65536)
    hold(seconds)
    ballast.unlink(missing_ok=True)


@fault("a worker's clock is off")
def shift_clock(play: Play) -> None:
    """An hour ahead or behind, or back and forth."""
    clock = play.stage.hosts[-1].clock
    assert clock is not None, f"no clock can be set here: {why_no_clock()}"
    for _ in range(play.chance.randint(1, 4)):
        clock.set(play.chance.choice((3600, -3600, 17, -90)))
        hold(1)
    clock.set(0)


@fault("two masters on one database")
def two_masters(play: Play) -> None:
    stage = play.stage
    home = stage.folder / "second"
    second = Process(
        [sys.executable, "-m", "master.cli", "up", "--workers", "0", "--no-flower"],
        stage.folder / "second.log",
        env=stage.master_environment(home, free_port()),
        cwd=stage.root,
    )
    try:
        second.wait_for_line("The master runs", 60)
        hold(play.chance.uniform(0, 3))
    finally:
        second.kill_group()
        shutil.rmtree(home, ignore_errors=True)


@fault("upgrade in the middle")
def upgrade(play: Play) -> None:
    """The master comes back with another build; the workers change over by themselves."""
    stage = play.stage
    stage.kill_master()
    stage.root = stage.another_build()
    stage.start_master()


@fault("a step that crashes its process")
def crashing_step(play: Play) -> None:
    _drill(play, "crash", steps=2)


@fault("a step that hangs")
def hanging_step(play: Play) -> None:
    _drill(play, "hang", steps=1)


@fault("a step that eats memory")
def hungry_step(play: Play) -> None:
    _drill(play, "allocate", steps=1, memory_mib=2048)


def _drill(play: Play, behavior: str, **params: int) -> None:
    """A run that must end with all of its steps failed, and with nothing else the worse for it."""
    key = f"drill-{behavior}-{play.seed}-{len(play.runs)}"
    play.runs.append(play.stage.submit("drill", {"behavior": behavior, **params}, key))

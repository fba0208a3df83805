"""``scripts/bench footprint``: what an idle master costs, on the embedded stack and on the real one.

Memory is proportional (PSS): a page that several processes share counts for each by its part. CPU is that
of all processes of the master, servers included, over the window. What is written is what these
processes gave to the disk (``write_bytes`` of /proc/PID/io), those that ended within the window included
through their parents, where those have waited for them.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.servers import Postgres, RabbitMQ, Redis
from tests.support import ROOT, Process, free_port, wait_until

_MIB = 2**20


class Sample:
    """One look at a set of processes."""

    def __init__(self, pids: list[int]) -> None:
        self.at = time.monotonic()
        self.pss_mib: dict[int, float] = {}
        self.cpu_s = 0.0
        self.cpu_of: dict[int, float] = {}
        self.written = 0
        self.written_of: dict[int, int] = {}
        for pid in pids:
            with contextlib.suppress(OSError, StopIteration):
                self._add(pid)

    def _add(self, pid: int) -> None:
        folder = Path("/proc") / str(pid)
        self.pss_mib[pid] = _field(folder / "smaps_rollup", "Pss:") / 1024
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        # utime, stime and those of children that have ended and were waited for.
        self.cpu_of[pid] = sum(int(fields[index]) for index in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")
        self.cpu_s += self.cpu_of[pid]
        self.written_of[pid] = _field(folder / "io", "write_bytes:")
        self.written += self.written_of[pid]


@dataclasses.dataclass(frozen=True)
class Roots:
    """The processes that a stack consists of, with their descendants."""

    pids: Callable[[], list[int]]
    #: Writes out what is due from the start.
    flush: Callable[[], None]


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench footprint", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long each stack is watched")
    parser.add_argument("--settle", type=float, default=30.0, help="seconds before the watch begins")
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("D8_")]:
        del os.environ[name]
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="d8-footprint-", dir="/var/tmp") as folder:
        place = Path(folder)
        place.chmod(0o755)
        for name, stack in (("embedded", _embedded), ("stack", _real)):
            with stack(place / name) as roots:
                time.sleep(options.settle)
                roots.flush()
                figures |= _watch(name, roots, options.minutes * 60)
        with _embedded(place / "flower", flower=True) as roots:
            time.sleep(options.settle)
            with_flower = Sample(_family(roots.pids()))
            print(f"embedded with Flower: {sum(with_flower.pss_mib.values()):.0f} MiB")
    print(json.dumps({key: figures[key] for key in (
        "embedded_pss_mib", "stack_pss_mib", "embedded_idle_cpu_pct", "stack_idle_cpu_pct",
        "embedded_idle_mb_per_h", "stack_idle_mb_per_h")}))  # fmt: skip


def _watch(name: str, roots: Roots, seconds: float) -> dict[str, float]:
    before = Sample(_family(roots.pids()))
    time.sleep(seconds)
    after = Sample(_family(roots.pids()))
    passed_s = after.at - before.at
    print(f"{name}: after {passed_s:.0f} s of nothing to do")
    for pid in sorted(after.pss_mib, key=lambda pid: -after.pss_mib[pid]):
        cpu = (after.cpu_of[pid] - before.cpu_of.get(pid, 0.0)) / passed_s * 100
        kb = (after.written_of[pid] - before.written_of.get(pid, 0)) / passed_s * 3600 / 1000
        print(f"  {after.pss_mib[pid]:7.1f} MiB {cpu:6.2f} % {kb:9.0f} kB/h  {_command(pid)[:90]}")
    return {
        f"{name}_pss_mib": round(sum(after.pss_mib.values()), 1),
        f"{name}_idle_cpu_pct": round((after.cpu_s - before.cpu_s) / passed_s * 100, 2),
        f"{name}_idle_mb_per_h": round((after.written - before.written) / passed_s * 3600 / 1e6, 2),
    }


@contextlib.contextmanager
def _embedded(folder: Path, *, flower: bool = False) -> Iterator[Roots]:
    with _master(folder, {}, flower=flower) as master:
        yield Roots(lambda: [master.pid], lambda: None)


@contextlib.contextmanager
def _real(folder: Path) -> Iterator[Roots]:
    folder.mkdir()
    folder.chmod(0o755)
    with contextlib.ExitStack() as undo:
        rabbitmq = RabbitMQ(folder / "rabbitmq")
        undo.callback(rabbitmq.stop)
        postgres = Postgres(folder / "postgres")
        undo.callback(postgres.stop)
        redis = Redis(folder / "redis")
        undo.callback(redis.stop)
        settings = {
            "D8_BROKER_URL": rabbitmq.url,
            "D8_RABBITMQ_URL": rabbitmq.management_url,
            "D8_DATABASE_URL": postgres.create_database("d8"),
        }
        master = undo.enter_context(_master(folder / "home", settings, flower=True))
        # What its own start left to write out is not idleness.
        yield Roots(
            lambda: [master.pid, rabbitmq.process.pid, postgres.process.pid, redis.process.pid],
            postgres.checkpoint,
        )


@contextlib.contextmanager
def _master(home: Path, settings: dict[str, str], *, flower: bool) -> Iterator[Process]:
    log = home.parent / f"{home.name}.log"
    port = str(free_port())
    environment = {"D8_HOME": str(home), "D8_PORT": port, "D8_FLOWER_PORT": str(free_port()), **settings}
    process = Process(
        [sys.executable, "-m", "master.cli", "up", "--workers", "0", "--flower" if flower else "--no-flower"],
        log,
        env=environment,
        cwd=ROOT,
    )
    try:
        process.wait_for_line("The master runs", 120)
        yield process
    finally:
        process.stop(60)
        wait_until(lambda: process.returncode is not None, 60, "the master has ended")


def _family(roots: list[int]) -> list[int]:
    """These processes and all that descend from them."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    family = set(roots)
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    return sorted(family)


def _field(path: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith(name))


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return "(ended)"


if __name__ == "__main__":
    main()

"""A worker's host on the stage: a network, a disk, memory and a clock of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from tests.faults.clock import Clock, why_no_clock
from tests.faults.network import Host, run
from tests.faults.proxy import Proxy
from tests.support import ROOT, Process, wait_until

if TYPE_CHECKING:
    from tests.faults.stage import Stage

_CGROUPS = Path("/sys/fs/cgroup/memory")
#: Enough for a worker, too little for a step that eats memory.
_HOST_MEMORY_MIB = 900
_HOST_DISK_MIB = 24


class WorkerHost:
    """One machine with a worker that joined by an invite, behind proxies of its own."""

    def __init__(self, stage: Stage, number: int) -> None:
        self.stage = stage
        self.name = f"host-{number}"
        self.host: Host = stage.network.add_host(number)
        self.home = stage.folder / self.name
        self.home.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={_HOST_DISK_MIB}m,mode=700", "tmpfs", str(self.home))
        stage.undo.callback(subprocess.run, ["umount", "-l", str(self.home)], check=False)
        # The last host has a clock that can be set.
        settable = number == stage.count - 1 and not why_no_clock()
        self.clock = Clock(stage.folder, self.name) if settable else None
        self.cgroup = _CGROUPS / f"{stage.network.tag}-{self.name}"
        self.api = Proxy(stage.network.address, (stage.network.address, stage.port))
        self.broker = Proxy(stage.network.address, (stage.network.address, stage.rabbitmq.port))
        self.process: Process | None = None
        self._join()

    @property
    def proxies(self) -> tuple[Proxy, Proxy]:
        return self.api, self.broker

    def start(self) -> None:
        """Start the worker as its owner would, under its keeper."""
        if self.process is not None:
            self.process.kill_group()
        self._limit_memory()
        command = [
            "sh", "-c", f"echo $$ > {self.cgroup}/cgroup.procs 2>/dev/null; exec \"$@\"", "sh",
            "ip", "netns", "exec", self.host.name, sys.executable, "-m", "worker.cli", "start", "--slots", "2",
        ]  # fmt: skip
        self.process = Process(
            command, self.stage.folder / f"{self.name}.log", env=self._environment(), cwd=ROOT
        )

    def children(self) -> list[int]:
        """Celery's child processes, which run the steps."""
        workers = [pid for pid, text in self.host.commands().items() if "worker.app worker" in text]
        return [pid for pid in workers if _parent(pid) in workers]

    def parent(self) -> int | None:
        """Celery's parent process."""
        workers = [pid for pid, text in self.host.commands().items() if "worker.app worker" in text]
        return next((pid for pid in workers if _parent(pid) not in workers), None)

    def model_servers(self) -> list[int]:
        return [pid for pid, text in self.host.commands().items() if "worker.models.server" in text]

    def kill(self) -> None:
        """Everything on the host at once."""
        self.host.kill_all()
        if self.process is not None:
            self.process.kill_group()

    def close(self) -> None:
        self.kill()
        for proxy in self.proxies:
            proxy.close()
        wait_until(lambda: not self.host.processes(), 10, f"{self.name} is dead")
        with contextlib.suppress(OSError):
            self.cgroup.rmdir()

    def _limit_memory(self) -> None:
        with contextlib.suppress(OSError):
            self.cgroup.mkdir(exist_ok=True)
            (self.cgroup / "memory.limit_in_bytes").write_text(str(_HOST_MEMORY_MIB * 2**20))

    def _environment(self) -> dict[str, str]:
        membership = json.loads((self.home / "secrets" / "membership.json").read_text())
        parts = urlsplit(membership["joined"]["broker_url"])
        login = parts.netloc.rpartition("@")[0]
        netloc = f"{login}@{self.stage.network.address}:{self.broker.port}"
        return {
            "D8_HOME": str(self.home),
            "D8_BROKER_URL": urlunsplit(parts._replace(netloc=netloc)),
            "D8_MODEL": "fake:",
            "D8_EMBEDDING_MODEL": "fake:",
            "D8_AUTO_UPDATE": "1",
            "D8_MASTER_TIMEOUT_S": "5",
            **(self.clock.environment if self.clock is not None else {}),
        }

    def _join(self) -> None:
        made = self.stage.api().post("/api/workers/invites", {"worker": self.name, "hours": 1})
        done = subprocess.run(
            [
                sys.executable, "-m", "worker.cli", "join",
                f"http://{self.stage.network.address}:{self.api.port}", made["code"], "--name", self.name,
            ],
            cwd=ROOT,
            env={**os.environ, "D8_HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0

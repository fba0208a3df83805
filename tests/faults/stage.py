"""The fleet on which faults are played: real servers, a real master, worker hosts of their own."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2

from master.cli.base import Api
from tasks.errors import D8Error, Unreachable
from tests.e2e.fleet import copy_code
from tests.faults.host import WorkerHost
from tests.faults.network import Network, run
from tests.servers import Postgres as PostgresServer
from tests.servers import RabbitMQ, Redis
from tests.support import ROOT, Process, free_port, wait_until

_MASTER_DISK_MIB = 256

#: Quick leases, so that many seeds fit into an hour.
QUICK = {"D8_LEASE_S": "4", "D8_HEARTBEAT_S": "2", "D8_RING_AGAIN_S": "1"}


class Stage:
    """Everything, ready to be broken."""

    def __init__(self, folder: Path, *, count: int = 3, settings: dict[str, str] | None = None) -> None:
        self.folder, self.count = folder, count
        self._settings = QUICK if settings is None else settings
        self.undo = contextlib.ExitStack()
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self) -> None:
        undo = self.undo
        self.network = Network()
        undo.callback(self.network.close)
        address = self.network.address
        self.rabbitmq = RabbitMQ(self.folder / "rabbitmq", address)
        undo.callback(self.rabbitmq.stop)
        self.postgres = PostgresServer(self.folder / "postgres", address)
        undo.callback(self.postgres.stop)
        self.redis = Redis(self.folder / "redis", address)
        undo.callback(self.redis.stop)
        self.database_url = self.postgres.create_database("d8")
        self.port = free_port()
        self.home = self.folder / "master"
        self.home.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={_MASTER_DISK_MIB}m,mode=700", "tmpfs", str(self.home))
        undo.callback(subprocess.run, ["umount", "-l", str(self.home)], check=False)
        self.root = ROOT
        self.master: Process | None = None
        undo.callback(self.kill_master)
        self.start_master()
        self.hosts: list[WorkerHost] = []
        for number in range(self.count):
            host = WorkerHost(self, number)
            undo.callback(host.close)
            self.hosts.append(host)
            host.start()
        self.wait_whole()

    def close(self) -> None:
        self.undo.close()

    def master_environment(self, home: Path, port: int) -> dict[str, str]:
        return {
            "D8_HOME": str(home),
            "D8_HOST": self.network.address,
            "D8_PORT": str(port),
            "D8_PUBLIC_URL": f"http://{self.network.address}:{port}",
            "D8_BROKER_URL": self.rabbitmq.url,
            "D8_RABBITMQ_URL": self.rabbitmq.management_url,
            "D8_DATABASE_URL": self.database_url,
            "D8_MODEL": "fake:",
            "PYTHONPATH": str(self.root),
            **self._settings,
        }

    def start_master(self) -> None:
        """Start it, and wait until it answers."""
        self.launch_master()
        wait_until(self.answers, 90, "the master answers", self.master.tail if self.master else None)

    def launch_master(self) -> None:
        self.master = Process(
            [sys.executable, "-m", "master.cli", "up", "--workers", "0", "--no-flower"],
            self.folder / "master.log",
            env=self.master_environment(self.home, self.port),
            cwd=self.root,
        )

    def kill_master(self) -> None:
        """The supervisor goes, and takes its parts along."""
        if self.master is not None:
            self.master.kill_group()
            wait_until(lambda: not self.master_processes("master."), 10, "its parts are gone")

    def master_processes(self, part: str) -> list[int]:
        """Processes of the master with this in their command line."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if part in command and f"D8_HOME={self.home}\0".encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
        return found

    def another_build(self) -> Path:
        """A copy of the code that is another build than the last one."""
        target = self.folder / f"code-{time.monotonic_ns()}"
        copy_code(target)
        handler = target / "worker" / "handlers" / "fleet_noop.py"
        handler.write_text(handler.read_text() + f"\n# {target.name}\n")
        if self.root != ROOT:
            shutil.rmtree(self.root, ignore_errors=True)
        return target

    def api(self) -> Api:
        token = (self.home / "secrets" / "owner.token").read_text().strip()
        return Api(f"http://{self.network.address}:{self.port}", token, 20)

    def answers(self) -> bool:
        try:
            return bool(self.api().get("/api/status"))
        except (D8Error, OSError):
            return False

    def ask(self, path: str, **query: Any) -> Any:
        """From the API, however long it takes to come back."""
        end = time.monotonic() + 120
        while True:
            try:
                return self.api().get(path, **query)
            except (Unreachable, D8Error, OSError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def submit(self, flow: str, params: dict[str, Any], key: str) -> str:
        """Start a run, however often it has to be said."""
        end = time.monotonic() + 120
        while True:
            try:
                body = {"flow": flow, "params": params}
                return str(self.api().post("/api/runs", body, idempotency_key=key)["id"])
            except (D8Error, OSError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def active(self) -> int:
        return sum(worker["state"] == "active" for worker in self.ask("/api/workers")["items"])

    def wait_whole(self, timeout_s: float = 120) -> None:
        """Every worker is one of the fleet, with the master's build."""
        wait_until(
            lambda: self.active() == self.count,
            timeout_s,
            "all workers are active",
            lambda: json.dumps(self.ask("/api/workers")["items"], indent=1)[:4000],
        )

    @contextlib.contextmanager
    def sql(self) -> Iterator[Any]:
        """A look into the database itself, past the product."""
        connection = psycopg2.connect(
            host=self.postgres.host, port=self.postgres.port, user="d8", dbname="d8", connect_timeout=3
        )
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def count_outcomes(self, runs: list[str]) -> int:
        """Recorded outcomes of these runs; -1 while the database is away."""
        try:
            with self.sql() as cursor:
                cursor.execute("SELECT count(*) FROM outcomes WHERE run_id = ANY(%s)", (runs,))
                return int(cursor.fetchone()[0])
        except psycopg2.OperationalError:
            return -1


@contextlib.contextmanager
def made_stage(**options: Any) -> Iterator[Stage]:
    """A stage in a temporary folder; taken down whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="d8-faults-", dir="/tmp"))
    folder.chmod(0o755)
    stage = Stage(folder, **options)
    try:
        yield stage
    finally:
        stage.close()
        shutil.rmtree(folder, ignore_errors=True)

"""Real servers from Debian's packages, each with its own folder, ports and users."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
from pathlib import Path

import amqp  # type: ignore[import-untyped]
import redis
import urllib3

from tests.support import Process, free_port, require, wait_until

#: Longer than any step: RabbitMQ closes the channel of a consumer that holds a message for longer.
_CONSUMER_TIMEOUT_MS = 40 * 24 * 3600 * 1000


class RabbitMQ:
    """A broker with the management plugin. ``url`` is that of its only user, an administrator."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        require("rabbitmq-server")
        self.folder = folder
        self.host = host
        self.port, self.management_port, self._dist_port, self._epmd_port = (free_port() for _ in range(4))
        self.password = secrets.token_urlsafe(18)
        folder.mkdir(parents=True, exist_ok=True)
        self._write_configuration()
        # Its own name server: one that is shared would outlive us, or be somebody else's.
        self._epmd = Process(
            [require("epmd"), "-port", str(self._epmd_port), "-address", "127.0.0.1"], folder / "epmd.log"
        )
        self.process = self._start()

    @property
    def url(self) -> str:
        return f"amqp://d8:{self.password}@{self.host}:{self.port}/d8"

    @property
    def management_url(self) -> str:
        return f"http://d8:{self.password}@{self.host}:{self.management_port}"

    def kill(self) -> None:
        """kill -9, as a power cut would."""
        self.process.kill_group()

    def restart(self) -> None:
        """Start it again with the data that it had on disk."""
        self.process.kill_group()
        self.process = self._start()

    def stop(self) -> None:
        self.process.kill_group()
        self._epmd.kill_group()

    def _write_configuration(self) -> None:
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = {self.host}:{self.port}\n"
            f"management.tcp.ip = {self.host}\nmanagement.tcp.port = {self.management_port}\n"
            f"default_user = d8\ndefault_pass = {self.password}\ndefault_vhost = d8\n"
            "default_user_tags.administrator = true\nloopback_users = none\n"
            f"consumer_timeout = {_CONSUMER_TIMEOUT_MS}\nraft.wal_max_size_bytes = 32000000\n"
            "vm_memory_high_watermark.absolute = 256MB\ndisk_free_limit.absolute = 50MB\n"
            "log.console = true\nlog.console.level = warning\nlog.file = false\n",
            encoding="utf-8",
        )
        (self.folder / "enabled_plugins").write_text("[rabbitmq_management].\n", encoding="utf-8")
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16), encoding="utf-8")
        cookie.chmod(0o400)

    def _start(self) -> Process:
        environment = {
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"d8-{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_SCHEMA_DIR": str(self.folder / "schema"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "generated"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "ERL_EPMD_PORT": str(self._epmd_port),
            # Two cores are shared with everything that is tested.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }
        server = "/usr/lib/rabbitmq/bin/rabbitmq-server"
        process = Process([server], self.folder / "rabbitmq.log", env=environment, cwd=self.folder)
        wait_until(lambda: self._answers(process), 90, "RabbitMQ answers", process.tail)
        return process

    def _answers(self, process: Process) -> bool:
        if process.returncode is not None:
            raise AssertionError(f"RabbitMQ ended with {process.returncode}\n{process.tail()}")
        try:
            connection = amqp.Connection(
                f"{self.host}:{self.port}", userid="d8", password=self.password, virtual_host="d8",
                connect_timeout=2,
            )  # fmt: skip
            connection.connect()
            connection.close()
            # The management API may come up a moment later.
            headers = urllib3.make_headers(basic_auth=f"d8:{self.password}")
            url = f"http://{self.host}:{self.management_port}/api/whoami"
            return urllib3.request("GET", url, headers=headers, retries=False, timeout=2).status == 200
        except (OSError, amqp.AMQPError, urllib3.exceptions.HTTPError):
            return False


class Postgres:
    """A cluster with one superuser, ``d8``."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        initdb, self._server = require("initdb"), require("postgres")
        self.folder, self.host, self.port = folder, host, free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self._data = folder / "data"
        # The server refuses to run as root.
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres").pw_name
            for path in (folder, *folder.parents):
                if path in (Path("/tmp"), Path("/")):
                    break
                path.chmod(0o755)
            shutil.chown(folder, user)
            self._as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        subprocess.run(
            [*self._as_user, initdb, "-D", self._data, "-U", "d8", "-A", "trust", "--no-sync"],
            check=True,
            capture_output=True,
        )
        with (self._data / "pg_hba.conf").open("a") as file:
            file.write("host all all all trust\n")
        self.process = self._start()

    @property
    def url(self) -> str:
        return f"postgresql+psycopg2://d8@{self.host}:{self.port}/postgres"

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """The new database's address. It begins as a copy of ``template``, to which nobody may be connected."""
        from master.store import Database

        admin = Database(self.url)
        with admin.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        admin.close()
        return f"postgresql+psycopg2://d8@{self.host}:{self.port}/{name}"

    def checkpoint(self) -> None:
        """Have it write out now what it would write within the next minutes."""
        from master.store import Database

        admin = Database(self.url)
        with admin.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql("CHECKPOINT")
        admin.close()

    def kill(self) -> None:
        """kill -9 to the server; its children see that and end."""
        self.process.kill_group()

    def restart(self) -> None:
        self.process.kill_group()
        self.process = self._start()

    def stop(self) -> None:
        self.process.stop()

    def _start(self) -> Process:
        command: list[str | Path] = [
            *self._as_user, self._server, "-D", self._data, "-p", str(self.port), "-k", str(self.folder),
            "-h", self.host, "-c", "max_connections=200", "-c", "shared_buffers=32MB",
            # What a process wrote outlives it without; only a power cut is not played here.
            "-c", "fsync=off",
        ]  # fmt: skip
        process = Process(command, self.folder / "server.log", cwd=self.folder)

        def ready() -> bool:
            nonlocal process
            if process.returncode is not None:
                # Children of the one that was killed still hold its memory.
                process = Process(command, self.folder / "server.log", cwd=self.folder)
            return self._answers()

        wait_until(ready, 60, "Postgres answers")
        return process

    def _answers(self) -> bool:
        import psycopg2  # type: ignore[import-untyped]

        try:
            psycopg2.connect(
                host=self.host, port=self.port, user="d8", dbname="postgres", connect_timeout=2
            ).close()
        except psycopg2.OperationalError:
            return False
        return True


class Redis:
    """A Redis with a password, whose data survives a restart but for the last second."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self._server = require("redis-server")
        self.folder, self.host, self.port = folder, host, free_port()
        self.password = secrets.token_urlsafe(18)
        folder.mkdir(parents=True, exist_ok=True)
        configuration = folder / "redis.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            f"bind {host}\nport {self.port}\nrequirepass {self.password}\ndir {folder}\nappendonly yes\n"
            'appendfsync everysec\nsave ""\ndaemonize no\n',
            encoding="utf-8",
        )
        self.process = self._start()

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{self.host}:{self.port}/0"

    def client(self) -> redis.Redis:
        """A client of its own: use it in a ``with`` block."""
        return redis.Redis.from_url(self.url)

    def kill(self) -> None:
        self.process.kill_group()

    def restart(self) -> None:
        self.process.kill_group()
        self.process = self._start()

    def stop(self) -> None:
        self.process.stop()

    def _start(self) -> Process:
        process = Process([self._server, self.folder / "redis.conf"], self.folder / "redis.log")

        def answers() -> bool:
            with contextlib.suppress(redis.RedisError), self.client() as client:
                return bool(client.ping())
            return False

        wait_until(answers, 30, "Redis answers", process.tail)
        return process

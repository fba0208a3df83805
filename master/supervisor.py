"""``d8 up``: starts the master's processes, restarts what ends, stops them together."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from master.ready import Ready
from tasks.errors import Refused, Unhealthy
from tasks.files import ROOT, read_text_or_empty
from tasks.log import say

log = logging.getLogger("d8.up")

#: A process that ends again and again is started less and less often, up to this.
_LONGEST_WAIT_S = 30.0
#: One that has run so long was fine: the next restart is quick again.
_SETTLED_S = 20.0
_STOP_S = 20.0
_READY_S = 60.0
_PR_SET_PDEATHSIG = 1
#: A heap for each thread, as the C library would have it, is most of what a process with threads holds.
_THRIFTY = {"MALLOC_ARENA_MAX": "2"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """One process of the master."""

    name: str
    command: list[str]
    #: The next part is started when this holds.
    ready: Ready | None = None


@dataclasses.dataclass
class _Running:
    part: Part
    process: subprocess.Popen[bytes]
    started: float
    failures: int = 0
    due: float = 0.0


class Supervisor:
    """Keeps parts running until asked to stop. Each part's output goes to ``<logs>/<name>.log``."""

    def __init__(self, parts: list[Part], log_folder: Path) -> None:
        self._parts = parts
        self._log_folder = log_folder
        self._running: dict[str, _Running] = {}
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start the parts in order, each when the one before is ready."""
        for part in self._parts:
            self._running[part.name] = _Running(part, self._launch(part), time.monotonic())
            self._wait_ready(part)

    def watch(self) -> None:
        """Restart what ends, until ``stop`` is called."""
        while not self._stopping.wait(0.25):
            for running in self._running.values():
                self._look_at(running)

    def stop(self) -> None:
        """End ``watch``; safe in a signal handler."""
        self._stopping.set()

    def close(self) -> None:
        """Stop all parts, the last one first, and wait for them."""
        for running in reversed(list(self._running.values())):
            process = running.process
            if process.poll() is None:
                # Celery takes it as "finish what you run".
                process.terminate()
                try:
                    process.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    say(log, logging.WARNING, "part_killed", part=running.part.name)
                    process.kill()
                    process.wait()

    def _look_at(self, running: _Running) -> None:
        now = time.monotonic()
        code = running.process.poll()
        if code is None:
            return
        if running.due == 0.0:
            if now - running.started > _SETTLED_S:
                running.failures = 0
            wait_s = min(_LONGEST_WAIT_S, 0.5 * 2**running.failures) if running.failures else 0.0
            running.failures += 1
            running.due = now + wait_s
            say(log, logging.WARNING, "part_ended", part=running.part.name, code=code, restart_in_s=wait_s)
        if now >= running.due:
            running.process = self._launch(running.part)
            running.started, running.due = now, 0.0

    def _launch(self, part: Part) -> subprocess.Popen[bytes]:
        path = self._log_folder / f"{part.name}.log"
        _rotate(path)
        with path.open("ab") as file:
            return subprocess.Popen(
                part.command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=_THRIFTY | os.environ,
                # Ctrl-C in the terminal is for the supervisor, which stops its parts in order.
                start_new_session=True,
                # The supervisor has no threads of its own yet when it forks.
                preexec_fn=_die_with_parent,  # noqa: PLW1509
            )

    def _wait_ready(self, part: Part) -> None:
        end = time.monotonic() + _READY_S
        while part.ready is not None and not part.ready.holds():
            if time.monotonic() > end or self._running[part.name].process.poll() is not None:
                tail = read_tail(self._log_folder / f"{part.name}.log")
                why = tail or f"{part.ready.what} did not answer within {_READY_S:.0f} s"
                raise Unhealthy(f"{part.name} did not start: {why}")
            time.sleep(0.05)

    def exit_code(self, name: str) -> int | None:
        """How a part has ended, or None while it runs."""
        return self._running[name].process.poll() if name in self._running else None


def _die_with_parent() -> None:
    """A supervisor that is killed takes its parts along: the next one must find the ports free."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _rotate(path: Path, most_bytes: int = 5 * 2**20) -> None:
    if path.exists() and path.stat().st_size > most_bytes:
        path.replace(path.with_suffix(".log.1"))


def read_tail(path: Path, lines: int = 3) -> str:
    """The last lines of a log, on one line."""
    with contextlib.suppress(OSError):
        text = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return " | ".join(line.removeprefix("d8: ") for line in text[-lines:])
    return ""


@contextlib.contextmanager
def only_one(run_folder: Path) -> Iterator[None]:
    """Hold this home's lock. ``Refused`` names the process that has it."""
    path = run_folder / "up.lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = read_text_or_empty(path) or "unknown"
            raise Refused(
                f"a master runs in {run_folder.parent} already (process {holder}): use that one, stop it with "
                f"'d8 down', or choose another home with D8_HOME"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def python(*arguments: str) -> list[str]:
    """A command that runs a module with this interpreter."""
    return [sys.executable, "-m", *arguments]

"""Plain processes under limits: the ``native`` and ``venv`` executors. For trusted code: they keep it from
eating the machine, not from reading it."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

from tasks.python_execute import Limits
from worker.sandbox.running import HARNESS, Running

_MIB = 2**20
_LARGEST_FILE = 64 * _MIB


@contextlib.contextmanager
def native(limits: Limits) -> Iterator[Running]:
    """The worker's own Python, isolated, in a folder that is removed afterwards."""
    with _folder() as folder, _running(sys.executable, folder, limits) as running:
        yield running


@contextlib.contextmanager
def fresh_venv(limits: Limits) -> Iterator[Running]:
    """A virtual environment that nobody has used: nothing of the worker's libraries is there."""
    with _folder() as folder:
        venv.create(folder / "venv", with_pip=False, symlinks=True)
        with _running(str(folder / "venv" / "bin" / "python"), folder, limits) as running:
            yield running


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="d8-sandbox-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _running(python: str, folder: Path, limits: Limits) -> Iterator[Running]:
    process = subprocess.Popen(
        [python, "-I", "-B", "-c", HARNESS],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # Only limits are set there, by calls that are safe after a fork.
        preexec_fn=lambda: _limit(limits),  # noqa: PLW1509
    )
    try:
        yield Running(process, kill=lambda: _kill_group(process.pid), was_out_of_memory=lambda: False)
    finally:
        _kill_group(process.pid)
        process.wait()


def _limit(limits: Limits) -> None:
    memory = limits.memory_mib * _MIB
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    seconds = int(limits.seconds * limits.cpus) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Counted over all processes of this user; root is not counted at all.
    resource.setrlimit(resource.RLIMIT_NPROC, (limits.pids + 512, limits.pids + 512))


def _kill_group(pid: int) -> None:
    """Also what it started, unless that made a group of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)

"""The ``docker`` executor: for code that nobody has vouched for.

No network, nothing writable but a small folder in memory, no capabilities, no way to gain any, not
root, bounded memory, processors, processes and time, no GPU, no mounts. The command line is used
rather than the library: its streams are those of any other process.
"""

from __future__ import annotations

import contextlib
import functools
import json
import secrets
import subprocess
from collections.abc import Iterator
from typing import Any

from tasks.errors import TransientFailure
from tasks.python_execute import Limits
from worker.sandbox.running import HARNESS, Running

LABEL = "d8.sandbox"
_ANSWER_S = 60.0
#: In the container, in memory: all that can be written.
_WORK = "/tmp"  # noqa: S108 (of the container, which is its alone)


@contextlib.contextmanager
def container(limits: Limits, *, image: str, owner: str) -> Iterator[Running]:
    """A container that exists for this run alone. ``owner``: the worker, by which leftovers are found."""
    name = f"d8-{secrets.token_hex(8)}"
    process = subprocess.Popen(
        [
            *command(name, limits, image=image, owner=owner, runtimes=_runtimes()),
            "python3",
            "-I",
            "-B",
            "-c",
            HARNESS,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield Running(
            process, kill=lambda: _kill(process, name), was_out_of_memory=lambda: _out_of_memory(name)
        )
    finally:
        _kill(process, name)
        process.wait()
        _docker("rm", "--force", "--volumes", name, check=False)


def command(
    name: str, limits: Limits, *, image: str, owner: str, runtimes: frozenset[str] = frozenset()
) -> list[str]:
    """How the container is run (https://docs.docker.com/reference/cli/docker/container/run/)."""
    memory = f"{limits.memory_mib}m"
    return [
        "docker", "run", "--interactive", "--name", name, "--label", f"{LABEL}={owner}", "--pull", "never",
        "--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
        "--pids-limit", str(limits.pids), "--memory", memory, "--memory-swap", memory,
        "--cpus", f"{limits.cpus:g}", "--user", "65534:65534", "--workdir", _WORK, "--env", f"HOME={_WORK}",
        "--tmpfs", f"{_WORK}:rw,noexec,nosuid,nodev,size=64m", "--ulimit", "core=0", "--ulimit", "nofile=256",
        "--log-driver", "none", "--stop-timeout", "1", "--ipc", "none",
        # gVisor puts a second kernel in between, where the engine has it.
        *(["--runtime", "runsc"] if "runsc" in runtimes else []),
        image,
    ]  # fmt: skip


def remove_leftovers(owner: str) -> int:
    """End the containers that a killed worker of this name left behind. Returns how many."""
    found = _docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}={owner}", check=False).split()
    if found:
        _docker("rm", "--force", "--volumes", *found, check=False)
    return len(found)


def _kill(process: subprocess.Popen[bytes], name: str) -> None:
    if process.poll() is None:
        _docker("kill", name, check=False)
        process.kill()


def _out_of_memory(name: str) -> bool:
    state = _docker("inspect", "--format", "{{json .State}}", name, check=False)
    with contextlib.suppress(ValueError):
        found: dict[str, Any] = json.loads(state)
        # The kernel may have ended a child of it only: then the status tells.
        return bool(found.get("OOMKilled")) or found.get("ExitCode") == 137
    return False


@functools.cache
def _runtimes() -> frozenset[str]:
    found = _docker("info", "--format", "{{json .Runtimes}}", check=False)
    with contextlib.suppress(ValueError):
        return frozenset(json.loads(found))
    return frozenset()


def _docker(*arguments: str, check: bool = True) -> str:
    """What the command printed. ``TransientFailure`` when the engine is away and ``check``."""
    try:
        done = subprocess.run(
            ["docker", *arguments], capture_output=True, text=True, timeout=_ANSWER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        if check:
            raise TransientFailure(f"Docker does not answer ({type(error).__name__})") from error
        return ""
    if done.returncode != 0 and check:
        raise TransientFailure(f"docker {arguments[0]} failed: {done.stderr.strip()[:500]}")
    return done.stdout if done.returncode == 0 else ""

"""Debian roots made by debootstrap, and wheels for the Python in them, kept for the next run.

Everything is under ``~/.cache/d8-tests`` (``XDG_CACHE_HOME``); removing it costs a minute.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from packaging.markers import Marker

from scripts.environment.locks import read_lock
from tests.support import ROOT, require

SUITE = "bookworm"
#: The Python that this suite has, for markers and tags of wheels.
PYTHON = "3.11.2"
_MIRROR = "http://deb.debian.org/debian"

#: debootstrap runs the packages' scripts as if it were that machine.
_NEEDS_ROOT = "debootstrap needs root: run this test as root"


def cache_folder() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "d8-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def base_tar() -> Path:
    """A minimal Debian with Python, as a tar file."""
    return _tar("base", ())


def servers_tar() -> Path:
    """The same with RabbitMQ, Redis and PostgreSQL from Debian's packages."""
    return _tar("servers", ("rabbitmq-server", "redis-server", "postgresql"))


def _tar(name: str, packages: Sequence[str]) -> Path:
    require("debootstrap")
    if os.geteuid() != 0:
        pytest.skip(_NEEDS_ROOT)
    path = cache_folder() / f"{SUITE}-{name}.tar"
    with _alone(path):
        if not path.exists():
            with tempfile.TemporaryDirectory(prefix="root-", dir=cache_folder()) as folder:
                root = Path(folder) / "root"
                if packages:
                    root.mkdir()
                    _run("tar", "-C", root, "-xf", base_tar())
                    _install(root, packages)
                else:
                    _bootstrap(root)
                draft = path.with_suffix(".part")
                _run("tar", "-C", root, "-cf", draft, ".")
                draft.rename(path)
    return path


def _bootstrap(root: Path) -> None:
    packages = cache_folder() / "packages"
    packages.mkdir(exist_ok=True)
    _run(
        require("debootstrap"), "--variant=minbase", "--include=python3,ca-certificates",
        f"--cache-dir={packages}", SUITE, root, _MIRROR,
    )  # fmt: skip
    _forget_packages(root)


def _install(root: Path, packages: Sequence[str]) -> None:
    """As scripts/install-services does: nothing is started, and no PostgreSQL cluster is made."""
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    (root / "etc/postgresql-common").mkdir(exist_ok=True)
    (root / "etc/postgresql-common/createcluster.conf").write_text("create_main_cluster = false\n")
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    apt: list[str | Path] = ["chroot", root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qy"]
    _run(*apt, "update")
    _run(*apt, "install", "--no-install-recommends", *packages)
    policy.unlink()
    _forget_packages(root)


def _forget_packages(root: Path) -> None:
    for place in ("var/cache/apt/archives", "var/lib/apt/lists"):
        for path in (root / place).iterdir():
            if path.is_file():
                path.unlink()


def wheels(locks: Sequence[str], machine: str) -> Path:
    """A folder with what these locks name for this suite's Python on this machine (``x86_64``)."""
    text = "\n".join(_pins(locks, machine))
    folder = cache_folder() / f"wheels-{machine}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    with _alone(folder):
        if not folder.exists():
            draft = Path(tempfile.mkdtemp(prefix="wheels-", dir=cache_folder()))
            wanted = draft / "wanted.txt"
            wanted.write_text(text)
            _run(*_download(wanted, draft, machine))
            draft.rename(folder)
    return folder


def _pins(locks: Sequence[str], machine: str) -> list[str]:
    """The pins that hold there, without markers: pip would ask its own Python about those."""
    there = {
        "python_full_version": PYTHON,
        "python_version": ".".join(PYTHON.split(".")[:2]),
        "platform_machine": machine,
        "sys_platform": "linux",
    }
    return [
        " ".join([f"{pin.name}=={pin.version}", *(f"--hash=sha256:{digest}" for digest in pin.sha256s)])
        for lock in locks
        for pin in read_lock(ROOT / lock)
        if not pin.marker or Marker(pin.marker).evaluate(there)
    ]


def _download(wanted: Path, folder: Path, machine: str) -> list[str]:
    short = "".join(PYTHON.split(".")[:2])
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(36, 4, -1)]
    tags += [f"manylinux{year}_{machine}" for year in ("2014", "2010", "1")]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--only-binary", ":all:", "--dest", str(folder), "--requirement", str(wanted)]
    command += ["--python-version", PYTHON, "--implementation", "cp"]
    for abi in (f"cp{short}", "abi3", "none"):
        command += ["--abi", abi]
    for tag in tags:
        command += ["--platform", tag]
    return command


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """A line per request would be the test's whole output."""


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """The folder as pages on loopback, which pip takes as ``--find-links``; its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="wheels")
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One test run at a time makes it."""
    locks = cache_folder() / "locks"
    locks.mkdir(exist_ok=True)
    with (locks / path.name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, f"{command[0]} failed\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"

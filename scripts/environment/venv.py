"""The folder ``.venv``: finding out what is there, making it, and recording what was installed.

An installation that is interrupted leaves the file ``d8-unfinished`` in it, and the next one starts over;
``d8-environment.json`` is written when an installation has ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from scripts.bootstrap_pip import install_pip, locked_pip
from scripts.environment.errors import EnvironmentFailure
from scripts.environment.plan import PIP_LOCK, VenvFacts, read_stamp

#: Prints what decides which wheels fit.
_PROBE = """
import platform, sys, sysconfig
if not (3, 11) <= sys.version_info[:2] <= (3, 14):
    sys.exit(1)
print(platform.system(), platform.machine(), sysconfig.get_config_var("SOABI"), sep="-")
"""


def platform_of(python: Path) -> str:
    """Operating system, architecture and ABI of this Python; "" if it does not run or is not one of ours."""
    try:
        answer = subprocess.run(
            [python, "-I", "-c", _PROBE], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


class Venv:
    """One virtual environment of one checkout."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self.python = folder / "bin/python"
        self.log = folder / "d8-install.log"
        self._stamp = folder / "d8-environment.json"
        self._unfinished = folder / "d8-unfinished"
        #: Open files that programs working in here inherit: see ``alone``.
        self.held_fds: tuple[int, ...] = ()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One installation at a time in a checkout, however the ones before it ended.

        The kernel lets go of a file lock when the last process that holds the file has ended. pip
        inherits it, so when only its parent was killed, the next installation waits for that pip too.
        """
        with (self.root / PIP_LOCK).open("rb") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("Another scripts/env is at work in this checkout; waiting for it.", file=sys.stderr)
                fcntl.flock(handle, fcntl.LOCK_EX)
            self.held_fds = (handle.fileno(),)
            yield

    def facts(self) -> VenvFacts:
        """What is there. ``EnvironmentFailure`` when it is something that we must not touch."""
        if not self.folder.exists():
            return VenvFacts(exists=False)
        if not (self.folder / "pyvenv.cfg").is_file() and not self._unfinished.exists():
            if self.folder.is_dir() and not any(self.folder.iterdir()):
                return VenvFacts(exists=False)
            raise EnvironmentFailure(
                f"{self.folder} exists and is not a virtual environment: move it away, then run this again"
            )
        try:
            installed = read_stamp(json.loads(self._stamp.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError):
            installed = {}
        facts = VenvFacts(
            exists=True,
            unfinished=self._unfinished.exists(),
            platform=platform_of(self.python),
            installed=installed,
        )
        if not facts.platform and not facts.unfinished and not self._stamp.exists():
            raise EnvironmentFailure(
                f"{self.folder} was not made by scripts/env, and its Python does not run for this user or "
                f"is none of 3.11 to 3.14: move it away, then run this again"
            )
        return facts

    def create(self) -> None:
        """Make it anew, without pip; what was there goes away."""
        if self.folder.is_symlink():
            raise EnvironmentFailure(
                f"{self.folder} is a link to {os.readlink(self.folder)} and has to be made again: "
                f"remove the link, then run this again"
            )
        self.folder.mkdir(exist_ok=True)
        # The mark comes first and stays: whatever ends this halfway, the next run sees whose folder it is.
        self.begin()
        for entry in self.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry != self._unfinished:
                entry.unlink()
        try:
            venv.EnvBuilder(with_pip=False, symlinks=True).create(self.folder)
        except (OSError, subprocess.CalledProcessError) as error:
            raise EnvironmentFailure(
                f"{sys.executable} could not make {self.folder} ({error}): check that the folder is writable "
                f"and the disk has room"
            ) from None

    def ensure_pip(self) -> None:
        """The locked pip, whatever this Python was shipped with."""
        if self._pip_version() == locked_pip().version:
            return
        try:
            install_pip(self.python)
        except EnvironmentFailure as failure:
            # pip knows more ways to reach an index than the bootstrap does, where Python brings one.
            if not self._upgrade_bundled_pip():
                raise failure from None

    def _pip_version(self) -> str:
        code = "import importlib.metadata as m; print(m.version('pip'))"
        answer = subprocess.run([self.python, "-I", "-c", code], capture_output=True, text=True, check=False)
        return answer.stdout.strip() if answer.returncode == 0 else ""

    def _upgrade_bundled_pip(self) -> bool:
        upgrade = ["install", "--quiet", "--no-deps", "--require-hashes", "-r", self.root / PIP_LOCK]
        for command in (["ensurepip", "--default-pip"], ["pip", *upgrade]):
            done = subprocess.run([self.python, "-I", "-m", *command], capture_output=True, check=False)
            if done.returncode != 0:
                return False
        return True

    def begin(self) -> None:
        """From here on it is half-made, until ``finish`` or ``unchanged``."""
        self._unfinished.touch()

    def unchanged(self) -> None:
        """What was begun did not happen: what is recorded still holds."""
        self._unfinished.unlink(missing_ok=True)

    def finish(self, groups: Mapping[str, str], torch: str) -> None:
        """Record what is now installed, and that it is whole."""
        draft = self._stamp.with_suffix(".new")
        stamp = {"python": sys.version.split()[0], "torch": torch, "groups": dict(groups)}
        draft.write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")
        os.replace(draft, self._stamp)
        self.unchanged()

    def link_command(self) -> None:
        """``.venv/bin/d8`` runs this checkout's ``scripts/d8``."""
        link, target = self.folder / "bin/d8", self.root / "scripts/d8"
        if link.is_symlink() and os.readlink(link) == str(target):
            return
        link.unlink(missing_ok=True)
        link.symlink_to(target)

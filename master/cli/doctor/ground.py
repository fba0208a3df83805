"""What the checks are given: this machine, its settings, the master's answers. A test gives another."""

from __future__ import annotations

import dataclasses
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import Unreachable
from tasks.files import read_text_or_empty

if TYPE_CHECKING:
    from master.settings import Settings

#: A program or server that takes longer is not waited for.
WAIT_S = 2.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    check: str
    #: ok, warning (works, but not as it should) or missing (something will not work).
    level: str
    found: str
    remedy: str = ""


def fine(check: str, found: str) -> Finding:
    return Finding(check=check, level="ok", found=found)


def look(check: str, found: str, remedy: str) -> Finding:
    return Finding(check=check, level="warning", found=found, remedy=remedy)


def missing(check: str, found: str, remedy: str) -> Finding:
    return Finding(check=check, level="missing", found=found, remedy=remedy)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fleet:
    """What the master says of itself."""

    url: str
    status: dict[str, Any]
    workers: list[dict[str, Any]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ran:
    """How a program ended; ``code`` None: it is not installed, or took too long."""

    code: int | None
    output: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ground:
    settings: Settings
    #: The fleet as the master shows it; ``Unreachable`` where none answers.
    fleet: Callable[[], Fleet]
    #: Where ``/proc`` and ``/sys`` are found.
    root: Path = Path("/")
    run: Callable[[Sequence[str]], Ran]
    #: GET of an address: (status, body).
    fetch: Callable[[str], tuple[int, bytes]]
    python: tuple[int, ...] = sys.version_info[:3]
    free_mib: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free // 2**20
    open_files: int = 0
    now: datetime


def ground_here(settings: Settings) -> Ground:
    """This machine."""
    return Ground(
        settings=settings,
        fleet=_once(lambda: _ask_master(settings)),
        run=run_program,
        fetch=_fetch,
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        now=datetime.now(UTC),
    )


def run_program(command: Sequence[str]) -> Ran:
    try:
        done = subprocess.run(
            list(command), capture_output=True, text=True, check=False, timeout=WAIT_S,
            env={**os.environ, "LC_ALL": "C"}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return Ran(code=None)
    return Ran(code=done.returncode, output=(done.stdout + done.stderr).strip())


def _ask_master(settings: Settings) -> Fleet:
    from master.cli.base import Api

    url = settings.find_master_url()
    token = read_text_or_empty(settings.secrets_folder / "owner.token")
    if not url or not token:
        raise Unreachable(f"no master has run in {settings.home} yet")
    api = Api(url, token, WAIT_S)
    return Fleet(url=url, status=api.get("/api/status"), workers=api.items("/api/workers"))


def _fetch(url: str) -> tuple[int, bytes]:
    import urllib3

    answer = urllib3.request("GET", url, retries=False, timeout=urllib3.Timeout(total=WAIT_S))
    return answer.status, bytes(answer.data)


def _once(ask: Callable[[], Fleet]) -> Callable[[], Fleet]:
    """Several checks ask; the master is asked once."""
    lock = threading.Lock()
    kept: list[Fleet | Unreachable] = []

    def answer() -> Fleet:
        with lock:
            if not kept:
                try:
                    kept.append(ask())
                except Unreachable as error:
                    kept.append(error)
        if isinstance(kept[0], Unreachable):
            raise kept[0]
        return kept[0]

    return answer

"""The build: the identity of the code that workers run.

It is a digest over every file that a worker executes (``tasks/``, ``worker/``, ``celeryconfig.py``)
and over its locked requirements. Two processes are of one build exactly when these bytes are equal;
the git commit is shown beside it for people and compared by nobody.
"""

from __future__ import annotations

import functools
import hashlib
import subprocess
from pathlib import Path

from tasks.files import ROOT
from tasks.record import Record

_FOLDERS = ("tasks", "worker")
_FILES = ("celeryconfig.py", "requirements/worker.lock", "requirements/torch.lock")
_SKIPPED_SUFFIXES = (".pyc", ".pyo")


class Build(Record):
    #: First 12 hexadecimal digits of the digest.
    id: str
    #: Abbreviated git commit, or "" outside a checkout.
    commit: str
    #: Whether the checkout has changes that are not committed.
    dirty: bool

    def __str__(self) -> str:
        about = " ".join(part for part in (self.commit, "dirty" if self.dirty else "") if part)
        return f"{self.id} ({about})" if about else self.id


def build_id(root: Path = ROOT) -> str:
    """Digest of the worker's code under ``root``: 12 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(code_files(root)):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


@functools.cache
def current_build() -> Build:
    """The build of this process: read once, since the process keeps the code it started with."""
    commit = _git("rev-parse", "--short", "HEAD")
    dirty = bool(commit) and bool(
        _git("status", "--porcelain", "--untracked-files=normal", "--", *_FOLDERS, *_FILES)
    )
    return Build(id=build_id(), commit=commit, dirty=dirty)


def code_files(root: Path) -> list[Path]:
    """The files that the build under ``root`` is computed from, in no particular order."""
    files = [root / name for name in _FILES if (root / name).is_file()]
    for folder in _FOLDERS:
        files += [
            path
            for path in (root / folder).rglob("*")
            if path.is_file() and path.suffix not in _SKIPPED_SUFFIXES and "__pycache__" not in path.parts
        ]
    return files


def _git(*arguments: str) -> str:
    """Output of a git command in the checkout, or "" without git or outside a checkout."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""

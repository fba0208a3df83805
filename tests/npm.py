"""Packages of npm that tests use, exactly those of a lock file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.support import missing, require


def install_npm(source: Path, folder: Path) -> Path:
    """``npm ci`` for the files of ``source``, in ``folder``; returns it. Without CI=1 the test is skipped when
    the registry cannot be reached."""
    npm = require("npm")
    for file in source.iterdir():
        shutil.copy(file, folder)
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise missing(f"npm could not install what {source} locks: {done.stderr[-300:]}")
    return folder

"""The shell files themselves, run in a copy of the checkout's scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without an environment."""
    shutil.copytree(
        ROOT / "scripts", tmp_path / "checkout/scripts", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path / "checkout"


def fake_python(checkout: Path) -> None:
    """An environment whose Python says how it was called."""
    python = checkout / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$PYTHONPATH|$*"\n')
    python.chmod(0o755)


def run(command: list[str | Path], cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "D8_PYTHON")
    }
    return subprocess.run(
        command, cwd=cwd, env=environment | env, capture_output=True, text=True, timeout=60, check=False
    )


def test_d8_without_an_environment_says_what_to_run(checkout: Path, tmp_path: Path) -> None:
    done = run([checkout / "scripts/d8", "status"], tmp_path)
    assert done.returncode == 3
    assert f"{checkout}/scripts/env" in done.stderr


def test_d8_runs_this_checkouts_master_from_any_folder_and_through_a_link(
    checkout: Path, tmp_path: Path
) -> None:
    fake_python(checkout)
    link = tmp_path / "d8"
    link.symlink_to(checkout / "scripts/d8")
    done = run([link, "run", "show", "a b"], tmp_path)
    assert done.stdout == f"{checkout}|-P -m master.cli run show a b\n"


def test_d8_worker_start_does_not_pass_through_the_master(checkout: Path, tmp_path: Path) -> None:
    fake_python(checkout)
    done = run([checkout / "scripts/d8", "worker", "start", "--name", "x"], tmp_path)
    assert done.stdout == f"{checkout}|-P -m worker.cli start --name x\n"
    done = run([checkout / "scripts/d8", "worker", "list"], tmp_path)
    assert done.stdout == f"{checkout}|-P -m master.cli worker list\n"


def test_env_without_a_usable_python_says_which_ones_are(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "env", "readlink", "dirname"):
        (tools / name).symlink_to(shutil.which(name) or name)
    old = tools / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit 0\nexit 1\n')
    old.chmod(0o755)
    done = run([checkout / "scripts/env"], tmp_path, PATH=str(tools))
    assert done.returncode == 3
    assert "3.11" in done.stderr
    assert "Python 3.9.2" in done.stderr


def test_env_takes_its_own_scripts_even_in_another_checkouts_folder(checkout: Path, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger/scripts/environment"
    stranger.mkdir(parents=True)
    (stranger / "__init__.py").touch()
    (stranger / "__main__.py").write_text("raise SystemExit('a stranger')")
    done = run([checkout / "scripts/env", "--help"], tmp_path / "stranger")
    assert done.returncode == 0, done.stderr
    assert "Make or refresh .venv" in done.stdout


def test_env_leaves_alone_what_is_no_virtual_environment(checkout: Path, tmp_path: Path) -> None:
    (checkout / "requirements").mkdir()
    for path in [*(ROOT / "requirements").glob("*.lock"), ROOT / "requirements.txt"]:
        shutil.copy(path, checkout / path.relative_to(ROOT))
    precious = checkout / ".venv/precious"
    precious.parent.mkdir()
    precious.write_text("mine")
    done = run([checkout / "scripts/env", "--master"], tmp_path)
    assert done.returncode == 3
    assert "is not a virtual environment" in done.stderr
    assert precious.read_text() == "mine"

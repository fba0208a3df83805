"""The command line as a process: help, exit codes, errors of one paragraph."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT


def d8(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "master.cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_command(d8_home: Path) -> None:
    answer = d8("--help")
    assert answer.returncode == 0
    for name in ("up", "demo", "doctor", "darwin", "niche", "client", "approval", "worker", "run", "status"):
        assert f"\n  {name} " in answer.stdout


def test_mistyped_command_gets_the_nearest(d8_home: Path) -> None:
    answer = d8("statsu")
    assert answer.returncode == 2
    assert answer.stderr == "d8: there is no command 'statsu': did you mean 'd8 status'?\n"


@pytest.mark.parametrize("arguments", [["status"], ["run", "list"], ["worker", "list"], ["approval", "list"]])
def test_without_a_master_it_says_how_to_start_one(d8_home: Path, arguments: list[str]) -> None:
    answer = d8(*arguments)
    assert answer.returncode == 3
    assert answer.stdout == ""
    assert "'d8 up'" in answer.stderr
    assert answer.stderr.count("\n") == 1, "one paragraph, no traceback"


def test_down_without_a_master_is_not_found(d8_home: Path) -> None:
    assert d8("down").returncode == 5


def test_doctor_says_what_is_missing_and_what_to_do(d8_home: Path) -> None:
    answer = d8("doctor", "--json")
    assert answer.returncode == 3
    findings = {finding["check"]: finding for finding in json.loads(answer.stdout)}
    assert findings["python"]["level"] == "ok"
    assert findings["master"]["level"] == "missing"
    assert all(finding["remedy"] for finding in findings.values() if finding["level"] != "ok")


def test_secret_that_others_can_read_is_found(d8_home: Path) -> None:
    secret = d8_home / "secrets" / "owner.token"
    secret.parent.mkdir()
    secret.write_text("x")
    secret.chmod(0o644)
    findings = {finding["check"]: finding for finding in json.loads(d8("doctor", "--json").stdout)}
    assert findings["secrets"]["remedy"] == f"chmod 600 {secret}"

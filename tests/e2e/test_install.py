"""scripts/install-master and scripts/install-worker, into a folder instead of this machine."""

from __future__ import annotations

import configparser
import os
import subprocess
from pathlib import Path

import pytest

from tasks.build import build_id
from tests.support import ROOT, missing, require

KINDS = ("master", "worker")


def install(kind: str, *options: str | Path, path: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / f"scripts/install-{kind}", *options],
        env={**os.environ, **({"PATH": path} if path else {})},
        capture_output=True,
        text=True,
        check=False,
    )


def unit_of(root: Path, kind: str) -> Path:
    return root / f"etc/systemd/system/d8-{kind}.service"


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [("--help",), ("--bogus",), ("--prefix", "relative")])
def test_help_and_mistakes_change_nothing(kind: str, options: tuple[str, ...], tmp_path: Path) -> None:
    done = install(kind, "--root", tmp_path, *options)
    assert done.returncode == (0 if options == ("--help",) else 2)
    assert f"install-{kind}" in done.stdout + done.stderr or "folder" in done.stderr
    assert not files_below(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_dry_run_says_every_step_and_does_none(kind: str, tmp_path: Path) -> None:
    done = install(kind, "--root", tmp_path, "--dry-run")
    assert done.returncode == 0, done.stderr
    for step in ("cp -R", f"scripts/env --{kind}", "useradd", f"d8-{kind}.service", "systemctl restart"):
        assert step in done.stderr, step
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_installed_code_is_the_build_of_this_checkout_and_belongs_to_root(kind: str, tmp_path: Path) -> None:
    done = install(kind, "--root", tmp_path)
    assert done.returncode == 0, done.stderr
    code = tmp_path / "opt/d8"
    assert build_id(code) == build_id()
    assert not [path for path in code.rglob("*") if path.stat().st_mode & 0o022]
    assert (code / "scripts/d8").stat().st_mode & 0o111
    home = tmp_path / ("var/lib/d8" if kind == "master" else "var/lib/d8-worker")
    assert home.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", KINDS)
def test_installing_again_replaces_what_has_changed(kind: str, tmp_path: Path) -> None:
    assert install(kind, "--root", tmp_path).returncode == 0
    before = files_below(tmp_path)
    stale = tmp_path / "opt/d8/worker/stale.py"
    stale.write_text("was removed since")
    kept = tmp_path / "opt/d8/.venv/kept"
    kept.parent.mkdir()
    kept.touch()
    assert install(kind, "--root", tmp_path).returncode == 0
    assert files_below(tmp_path) == before | {"opt/d8/.venv/kept"}


@pytest.mark.parametrize("kind", KINDS)
def test_unit_is_closed_off_and_has_time_to_stop(kind: str, tmp_path: Path) -> None:
    assert install(kind, "--root", tmp_path).returncode == 0
    text = unit_of(tmp_path, kind).read_text()
    assert "@" not in text.replace("@BotFather", "")
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    service = parser["Service"]
    assert (
        service["ExecStart"]
        == {
            "master": "/opt/d8/scripts/d8 up --workers 0",
            "worker": "/opt/d8/scripts/d8 worker start",
        }[kind]
    )
    assert service["NoNewPrivileges"] == service["PrivateTmp"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["ReadWritePaths"] == f"/var/lib/d8{'-worker' if kind == 'worker' else ''}"
    assert service["Restart"] == "on-failure"
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) >= 90
    assert service["MemoryHigh"]


@pytest.mark.services
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("systemd", ["252", "257"])
def test_systemd_finds_nothing_wrong_with_the_unit(kind: str, systemd: str, tmp_path: Path) -> None:
    analyze = require("systemd-analyze")
    tools = tmp_path / "tools"
    tools.mkdir()
    fake = tools / "systemctl"
    fake.write_text(f"#!/bin/sh\necho systemd {systemd}\n")
    fake.chmod(0o755)
    # From the checkout itself, so that the program to start is there.
    done = install(kind, "--root", tmp_path, "--prefix", ROOT, path=f"{tools}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    unit = unit_of(tmp_path, kind)
    assert ("RestartSteps=" in unit.read_text()) == (systemd == "257")
    checked = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)
    said = [
        line
        for line in checked.stderr.splitlines()
        # Keys that an older systemd does not know are passed over by it.
        if unit.name in line and not ("Unknown key" in line and "Restart" in line and systemd == "257")
    ]
    assert checked.returncode == 0, checked.stderr
    assert not said


def test_master_gives_people_a_command_and_takes_only_its_own_away(tmp_path: Path) -> None:
    command = tmp_path / "usr/local/bin/d8"
    assert install("master", "--root", tmp_path).returncode == 0
    assert "D8_HOME=/var/lib/d8 /opt/d8/scripts/d8" in command.read_text()
    command.write_text("somebody else's")
    assert "another program" in install("master", "--root", tmp_path).stderr
    assert install("master", "--root", tmp_path, "--uninstall").returncode == 0
    assert command.read_text() == "somebody else's"


def test_uninstall_keeps_the_home_and_what_the_other_service_runs_from(tmp_path: Path) -> None:
    for kind in KINDS:
        assert install(kind, "--root", tmp_path).returncode == 0
    precious = tmp_path / "var/lib/d8/d8.sqlite3"
    precious.touch()
    done = install("master", "--root", tmp_path, "--uninstall")
    assert done.returncode == 0, done.stderr
    assert "rm -r /var/lib/d8" in done.stderr
    assert (tmp_path / "opt/d8/scripts/d8").is_file()
    assert install("worker", "--root", tmp_path, "--uninstall").returncode == 0
    assert files_below(tmp_path) == {"var/lib/d8/d8.sqlite3"}
    assert install("worker", "--root", tmp_path, "--uninstall").returncode == 0, "a second time does no harm"


def test_worker_joins_with_its_invite_before_it_starts(tmp_path: Path) -> None:
    done = install(
        "worker", "--root", tmp_path, "--master", "http://pi:7500", "--invite", "abc.def", "--name", "x"
    )
    assert done.returncode == 0, done.stderr
    steps = done.stderr.splitlines()
    join = next(number for number, step in enumerate(steps) if "d8 worker join" in step)
    assert "http://pi:7500 abc.def --name x" in steps[join]
    assert "runuser -u d8" in steps[join]
    assert join < next(number for number, step in enumerate(steps) if "systemctl restart" in step)


@pytest.mark.parametrize("options", [("--invite", "abc"), ("--master", "http://pi:7500"), ()])
def test_worker_without_a_whole_invite_is_told_where_to_get_one(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    done = install("worker", *options, "--home", tmp_path / "home", "--dry-run")
    assert done.returncode == 2
    assert "d8 worker invite" in done.stderr


@pytest.mark.services
def test_machine_without_systemd_is_told_of_the_other_ways(tmp_path: Path) -> None:
    # In namespaces of its own: root there, and this machine's /run, which systemd may have made, is hidden.
    unshare = require("unshare")
    alone = [
        unshare,
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        'mount -t tmpfs d8 /run && exec "$@"',
        "sh",
    ]
    if (tried := subprocess.run([*alone, "true"], capture_output=True, text=True, check=False)).returncode:
        raise missing(f"this kernel lets a test have no namespaces of its own: {tried.stderr.strip()}")
    done = subprocess.run(
        [*alone, ROOT / "scripts/install-master", "--home", tmp_path / "home", "--prefix", tmp_path / "code"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "docs/install.md" in done.stderr
    assert not list(tmp_path.iterdir())

"""scripts/smoke-arm64: the master on an emulated arm64. Three minutes; only when asked for (-m arm64)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

#: What a machine may lack; anything else that goes wrong is a fault.
_REASONS = (
    "it needs Linux",
    "it needs root",
    "debootstrap is not installed",
    "qemu-aarch64-static is not installed",
    "unshare is not installed",
    "allows no namespaces",
    "no binfmt_misc",
    "binfmt_misc cannot be mounted",
    "binfmt_misc takes no emulator",
)


@pytest.mark.arm64
@pytest.mark.services
def test_master_installs_from_its_lock_and_becomes_ready_on_arm64() -> None:
    options: list[str | Path] = []
    if sys.platform == "linux" and os.geteuid() == 0:
        from tests.e2e.debian import wheels

        options = ["--wheels", wheels(("requirements.txt", "requirements/pip.lock"), "aarch64")]
    done = subprocess.run(
        [ROOT / "scripts/smoke-arm64", *options], capture_output=True, text=True, check=False
    )
    said = done.stderr.strip()
    if done.returncode == 77 and any(reason in said for reason in _REASONS):
        pytest.skip(said.splitlines()[-1])
    assert done.returncode == 0, said
    assert "ready on aarch64" in said


def test_machine_that_cannot_run_it_is_told_why(tmp_path: Path) -> None:
    """Without debootstrap, or without root: whichever is missed first."""
    for name in ("bash", "uname", "id", "readlink", "dirname", "mktemp"):
        (tmp_path / name).symlink_to(Path("/usr/bin") / name)
    done = subprocess.run(
        [ROOT / "scripts/smoke-arm64"],
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 77
    assert done.stderr.startswith("smoke-arm64 cannot run here: ")
    assert any(reason in done.stderr for reason in _REASONS)

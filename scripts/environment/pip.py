"""Runs the environment's pip: one installation, its progress on the screen, its whole output in a log."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.environment.errors import EnvironmentFailure, NothingChanged
from scripts.environment.progress import PipOutput, ProgressLine
from scripts.environment.venv import Venv

#: Settings of a person's own pip that would send packages elsewhere or make it ask.
_DROPPED = (
    "PIP_USER",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_REQUIRE_HASHES",
    "PIP_NO_BINARY",
    "PIP_REQUIREMENT",
)

#: Words in pip's output, and what to do about them; the first that is found counts.
_REMEDIES = (
    ("No space left on device", "free some disk space"),
    ("CERTIFICATE_VERIFY_FAILED", "install ca-certificates, or name your proxy's certificates in PIP_CERT"),
    (
        "DO NOT MATCH THE HASHES",
        "use another package index: this one serves another file than the locked one",
    ),
    ("Permission denied", "make the checkout writable for this user"),
    ("Retrying (", "check the network and pip's settings (PIP_INDEX_URL, /etc/pip.conf)"),
    (
        "No matching distribution",
        "use a package index that has all of PyPI, or another Python: this one lacks that version for this machine",
    ),
)
_DEFAULT_REMEDY = "read what pip said"


def install(venv: Venv, locks: Sequence[str], *, label: str, index_url: str = "") -> None:
    """Install these lock files, nothing beside them. ``EnvironmentFailure`` ends with pip's last words."""
    with tempfile.TemporaryDirectory(prefix="tmp-", dir=venv.folder) as scratch:
        # /tmp is often memory, and torch is large: unpack where it will stay.
        environment = {name: value for name, value in os.environ.items() if name not in _DROPPED}
        environment |= {
            "TMPDIR": scratch,
            "PYTHONDONTWRITEBYTECODE": "",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        environment.pop("PYTHONPATH", None)
        _run(venv, _command(venv, locks, index_url), environment, label)


def _command(venv: Venv, locks: Sequence[str], index_url: str) -> list[str | Path]:
    command: list[str | Path] = [
        venv.python,
        "-I",
        "-m",
        "pip",
        "install",
        "--no-input",
        "--no-user",
        "--no-deps",
    ]
    command += [
        "--require-hashes",
        "--only-binary",
        ":all:",
        "--no-warn-script-location",
        "--progress-bar",
        "raw",
    ]
    if index_url:
        command += ["--index-url", index_url, "--retries", "2"]
    for lock in locks:
        command += ["-r", venv.root / lock]
    return command


def _run(venv: Venv, command: Sequence[str | Path], environment: dict[str, str], label: str) -> None:
    line_of_progress = ProgressLine(label)
    output = PipOutput()
    kept: list[str] = []
    with venv.log.open("a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(str(part) for part in command)}\n")
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=venv.held_fds,
        )
        assert process.stdout is not None
        with process:
            for line in process.stdout:
                if output.feed(line):
                    log.write(line)
                    kept = [*kept[-19:], line.rstrip()]
                line_of_progress.show(str(output))
    line_of_progress.done("not installed" if process.returncode else f"{output.packages} packages")
    if process.returncode != 0:
        kind = EnvironmentFailure if output.installing else NothingChanged
        raise kind(explain(label, kept, venv.log))


def explain(label: str, last_lines: Sequence[str], log: Path) -> str:
    """One paragraph for a person, from what pip printed last."""
    errors = [line for line in last_lines if line.startswith("ERROR")] or list(last_lines[-3:])
    everything = "\n".join(last_lines)
    remedy = next((cure for words, cure in _REMEDIES if words in everything), _DEFAULT_REMEDY)
    said = " / ".join(line.removeprefix("ERROR: ") for line in errors[:4])
    return (
        f"{label}: pip failed: {said or 'without a word'}. To go on, {remedy}, then run the same command "
        f"again. All of pip's output: {log}"
    )

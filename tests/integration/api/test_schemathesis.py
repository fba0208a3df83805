"""Schemathesis against the real server: it reads the description, and holds every operation to it with valid and
invalid calls (statuses, media types, schemas, headers, authentication, methods). https://schemathesis.readthedocs.io"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import urllib3

from tests.conftest import StartProcess
from tests.support import free_port

#: Where being of the right shape is not all that is asked for: an amount of money, a client's brief, a cron rule, an
#: address, the bytes that a digest is of, a password's strength, the rules of a policy.
_MORE_THAN_SHAPE = (
    "post_record", "post_execution", "add_one_client", "post_schedule", "patch_schedule", "post_webhook",
    "put_artifact", "put_password", "put_policy_text",
)  # fmt: skip

CONFIG = """
[parameters]
# What a list answered before, or nothing: an invented one is refused (test_shape.py).
"query.cursor" = ""
""" + "".join(
    f'\n[[operations]]\ninclude-operation-id = "{name}"\nchecks.positive_data_acceptance.enabled = false\n'
    for name in _MORE_THAN_SHAPE
)


@pytest.fixture
def server(d8_home: Path, start_process: StartProcess, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a real master's API."""
    port = free_port()
    monkeypatch.setenv("D8_BROKER_URL", "memory://")
    monkeypatch.setenv("D8_PORT", str(port))
    process = start_process([sys.executable, "-m", "master.api"], name="api")
    end = time.monotonic() + 60
    while True:
        try:
            urllib3.request("GET", f"http://127.0.0.1:{port}/livez", retries=False)
        except urllib3.exceptions.HTTPError:
            assert time.monotonic() < end, process.log.read_text()
            time.sleep(0.1)
        else:
            return f"http://127.0.0.1:{port}"


def test_every_operation_does_what_its_description_says(server: str, d8_home: Path, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    token = (d8_home / "secrets" / "owner.token").read_text().strip()
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run",
            f"{server}/api/openapi.json", "-H", f"Authorization: Bearer {token}", "--seed", "8",
            "--phases", "coverage,fuzzing", "--max-examples", "3", "--generation-database", "none",
            "--suppress-health-check", "all", "--continue-on-failure", "--warnings", "off", "--no-color",
            # One never ends by itself (test_events.py), one takes seconds for each file (test_care.py).
            "--exclude-path", "/api/events/stream", "--exclude-path", "/api/backups",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    selected = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", done.stdout)
    assert selected is not None, done.stdout[-3000:]
    chosen, there, tested = map(int, selected.groups())
    assert (chosen, tested) == (there - 2, there - 2)

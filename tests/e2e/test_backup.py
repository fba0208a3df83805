"""A running master is backed up in the middle of a run; the restored one finishes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from master.cli.base import connect
from tests.conftest import StartProcess
from tests.e2e.fleet import Fleet
from tests.servers import Postgres
from tests.support import wait_until

PASSPHRASE = "correct horse battery staple"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def databases(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Addresses of the database that is backed up, and of the empty one; "" is that of the home."""
    if request.param == "sqlite":
        return "", ""
    server: Postgres = request.getfixturevalue("postgres")
    return server.create_database("old"), server.create_database("new")


def _done(run: dict[str, Any]) -> int:
    return sum(step["state"] == "done" for step in run["steps"])


def test_restored_master_finishes_the_run_that_was_in_flight(
    start_process: StartProcess, d8_home: Path, databases: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, passphrase = d8_home.parent / "fleet.d8backup", d8_home.parent / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    monkeypatch.setenv("D8_DATABASE_URL", databases[0])
    fleet = Fleet(start_process, d8_home)
    master = fleet.start_master()
    worker = fleet.start_worker("one", slots=2)
    run_id = fleet.start_noop(12, duration_s=1.5)
    wait_until(lambda: _done(fleet.show(run_id)) >= 3, 60, "some steps are done")
    told = fleet.ask("backup", str(file), "--passphrase-file", str(passphrase))
    assert told["encrypted"]
    assert told["rows"]["steps"] == 12
    assert file.stat().st_mode & 0o077 == 0
    assert 0 < _done(fleet.show(run_id)) < 12, "it was in flight"
    # The fire, and another machine.
    for process in (worker, master):
        process.kill_group()
    monkeypatch.setenv("D8_DATABASE_URL", databases[1])
    home = d8_home.parent / "restored"
    restored = Fleet(start_process, home)
    facts = restored.ask("restore", str(file), "--passphrase-file", str(passphrase), "--yes")
    assert facts["with_secrets"]
    restored.start_master()
    restored.start_worker("one", slots=2)
    run = restored.wait_done(run_id)
    assert _done(run) == 12
    ended = [
        attempt for attempt in connect().items(f"/api/runs/{run_id}/attempts") if attempt["outcome"] == "done"
    ]
    assert len({attempt["key"] for attempt in ended}) == len(ended) == 12, "one outcome a step"


def test_home_in_which_a_master_runs_is_not_restored_into(
    start_process: StartProcess, d8_home: Path, tmp_path: Path
) -> None:
    fleet = Fleet(start_process, d8_home)
    fleet.start_master()
    file = tmp_path / "fleet.d8backup"
    fleet.ask("backup", str(file), "--no-encryption")
    assert fleet.ask("restore", str(file), "--check")["revision"]
    refused = fleet.fail("restore", str(file), "--yes")
    assert refused.returncode == 4
    assert "a master runs in" in refused.stderr

"""What a page costs does not grow with history: counted in the database's own instructions, never in time."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from starlette.testclient import TestClient

from master.api.app import create_api
from master.capabilities import load_capabilities
from master.flows.reading import show_run
from master.settings import load_settings
from master.store import Database
from master.store.artifacts import ArtifactFolder
from master.store.migrate import migrate
from tests.bench.console import page_addresses
from tests.bench.evolving.bed import put_evolution
from tests.bench.history import Size, fill, put_files

_TICK = 50
#: A run more may cost a page its place in an index, and no look at its steps, of which it has twenty.
_INSTRUCTIONS_A_RUN = 40


class Meter:
    """Counts what SQLite does for the pages: their reads run in the thread pool, the conductor's elsewhere."""

    def __init__(self) -> None:
        self.ticks = 0

    def tick(self) -> int:
        if threading.current_thread().name.startswith("AnyIO"):
            self.ticks += 1
        return 0

    def on_connect(self, connection: Any, _record: Any) -> None:
        if hasattr(connection, "set_progress_handler"):
            connection.set_progress_handler(self.tick, _TICK)


@contextlib.contextmanager
def metered() -> Iterator[Meter]:
    meter = Meter()
    event.listen(Engine, "connect", meter.on_connect)
    try:
        yield meter
    finally:
        event.remove(Engine, "connect", meter.on_connect)


def instructions(home: Path, size: Size) -> tuple[int, dict[str, int]]:
    """How many runs there are, and what each page costs."""
    settings = load_settings(home=home, broker_url="memory://")
    home.mkdir()
    load_capabilities()
    database = Database(settings.sqlalchemy_url)
    migrate(database)
    ids = put_evolution(database, settings, evals=60) | fill(database, size, until=datetime.now(UTC))
    put_files(ArtifactFolder(settings.artifact_folder), ids)
    database.close()
    costs = {}
    with metered() as meter, TestClient(api := create_api(settings)) as browser:
        found, skipped = page_addresses(api.routes, ids)
        assert skipped == [], "say a real id of these pages' parameters in tests/bench/history.py"
        token = (home / "secrets" / "owner.token").read_text().strip()
        browser.headers["authorization"] = f"Bearer {token}"
        runs = sum(browser.get("/api/status").json()["runs"].values())
        # Runs, steps and so on of the same page are as many in both: those of the largest run.
        for address in [each for each in found if not each.startswith("/runs/") or "largest" in each]:
            assert browser.get(address).status_code == 200, address
            meter.ticks = 0
            browser.get(address)
            # Each evolution has a name of its own.
            costs[re.sub("^/darwin/darwin.*", "/darwin/RUN", address)] = meter.ticks * _TICK
    return runs, costs


def test_no_page_goes_through_the_steps_or_events_of_the_past(tmp_path: Path) -> None:
    small = Size(
        events=6_000,
        largest=500,
        usual=10,
        decided=150,
        pending=4,
        ledger_entries=120,
        clients=20,
        niche_runs=4,
    )
    runs, before = instructions(tmp_path / "small", small)
    large = Size(**{**vars(small), "events": 4 * small.events})
    more_runs, after = instructions(tmp_path / "large", large)
    assert after.keys() == before.keys()
    allowed = (more_runs - runs) * _INSTRUCTIONS_A_RUN
    # What a page shows of its runs varies with their sizes: some thousand instructions.
    grown = {
        page: (before[page], after[page]) for page in after if after[page] > 1.6 * before[page] + allowed
    }
    assert grown == {}


@pytest.mark.parametrize("most", [7, 40])
def test_of_a_long_run_the_failed_the_open_and_the_latest_steps_are_read(tmp_path: Path, most: int) -> None:
    load_capabilities()
    database = Database(f"sqlite:///{tmp_path / 'd8.sqlite3'}")
    migrate(database)
    fill(
        database,
        Size(events=4_000, largest=100, decided=5, pending=1, ledger_entries=5, clients=2, niche_runs=2),
        until=datetime.now(UTC),
    )
    with database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE steps SET state='failed' WHERE run_id='niche-largest' AND key='evaluate:3'"
        )
        connection.exec_driver_sql(
            "UPDATE outcomes SET state='failed' WHERE step_id=(SELECT id FROM steps WHERE run_id='niche-largest' "
            "AND key='evaluate:3')"
        )
        for key, state in (("evaluate:5", "queued"), ("evaluate:6", "running"), ("evaluate:7", "waiting")):
            connection.exec_driver_sql(
                f"UPDATE steps SET state='{state}' WHERE run_id='niche-largest' AND key='{key}'"
            )
            connection.exec_driver_sql(
                f"DELETE FROM outcomes WHERE step_id=(SELECT id FROM steps WHERE run_id='niche-largest' "
                f"AND key='{key}')"
            )
        connection.exec_driver_sql("UPDATE runs SET state='running' WHERE id='niche-largest'")
    with database.read() as connection:
        shown = show_run(connection, "niche-largest", most=most)
        whole = show_run(connection, "niche-largest")
    database.close()
    keys = [step["key"] for step in shown["steps"]]
    assert keys[:4] == ["evaluate:3", "evaluate:6", "evaluate:7", "evaluate:5"]
    assert keys[4:] == [f"evaluate:{number}" for number in range(99, 99 - most + 4, -1)]
    assert len(whole["steps"]) == shown["steps_total"] == 100
    assert (shown["steps_done"], shown["steps_failed"]) == (96, 1)

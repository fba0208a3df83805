from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

from master.clients.brief import parse_brief
from master.clients.tables import clients
from master.store import Database
from master.store.metadata import metadata
from master.store.tables import runs
from tasks.client_brief import Brief

EXAMPLES = Path(__file__).parents[3] / "examples"
NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path}/d8.sqlite3")
    metadata.create_all(made.engine, tables=[clients, runs])
    yield made
    made.close()


@pytest.fixture(params=["brief.yaml", "brief-en.yaml"])
def any_brief(request: pytest.FixtureRequest) -> Brief:
    return parse_brief((EXAMPLES / request.param).read_bytes(), request.param)


@pytest.fixture
def brief() -> Brief:
    return parse_brief((EXAMPLES / "brief.yaml").read_bytes(), "brief.yaml")


@pytest.fixture
def now() -> datetime.datetime:
    return NOW

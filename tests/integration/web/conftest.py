"""The stage of the dashboard's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from master.api.app import create_api
from master.settings import load_settings
from master.store import Database
from tests.integration.conftest import copy_fresh
from tests.integration.web.stage import ORIGIN, Stage


@pytest.fixture
def stage(d8_home: Path, fresh_database: Path) -> Iterator[Stage]:
    settings = load_settings(home=d8_home)
    copy_fresh(fresh_database, settings.sqlalchemy_url)
    api = create_api(settings)
    database = Database(settings.sqlalchemy_url)
    with TestClient(api, base_url=ORIGIN) as browser:
        yield Stage(browser, database, d8_home)
    database.close()

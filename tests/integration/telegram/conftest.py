"""The stage of the Telegram door's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from master.store import Database
from master.store.artifacts import ArtifactFolder
from master.store.metadata import metadata
from tests.integration.bot_api import BotApi
from tests.integration.telegram.stage import TOKEN, Stage


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def stage(d8_home: Path) -> Iterator[Stage]:
    database = Database(f"sqlite:///{d8_home / 'd8.sqlite3'}")
    metadata.create_all(database.engine)
    with BotApi(TOKEN) as api:
        yield Stage(database, api, ArtifactFolder(d8_home / "artifacts"))
    database.close()

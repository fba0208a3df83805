"""The real application over a real SQLite database, and a caller with the owner's token."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Connection, make_url

from master.api.app import create_api
from master.settings import Settings, load_settings
from master.store import Database

T = TypeVar("T")


@dataclasses.dataclass
class Caller:
    api: FastAPI
    client: TestClient
    settings: Settings
    database: Database

    def get(self, path: str, **query: Any) -> Any:
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, key: str = "") -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        return self.client.post(path, json=body or {}, headers=headers)

    def write(self, function: Callable[[Connection], T]) -> T:
        with self.database.write() as connection:
            return function(connection)

    def read(self, function: Callable[[Connection], T]) -> T:
        with self.database.read() as connection:
            return function(connection)


@pytest.fixture
def caller(fresh_database: Path, d8_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Caller]:
    monkeypatch.setenv("D8_BROKER_URL", "memory://")
    settings = load_settings()
    shutil.copyfile(fresh_database, make_url(settings.sqlalchemy_url).database or "")
    api = create_api(settings)
    database = Database(settings.sqlalchemy_url)
    token = (settings.secrets_folder / "owner.token").read_text().strip()
    with TestClient(api, raise_server_exceptions=False) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        yield Caller(api, client, settings, database)
    database.close()

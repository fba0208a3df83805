"""The API's and the command line's doors to clients, over a real database."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Connection, func, select
from typer.testing import CliRunner

import master.clients.flow  # noqa: F401 - registers the flow
from master.api.clients import build_router
from master.cli.client import app as cli
from master.clients.yaml_tree import MAX_BYTES
from master.store import Database
from master.store.metadata import metadata
from master.store.tables import runs
from tasks.errors import InvalidInput, NotFound
from tests.unit.clients.conftest import EXAMPLES, NOW

T = TypeVar("T")


@pytest.fixture
def door(database: Database) -> TestClient:
    metadata.create_all(database.engine)

    def read(function: Callable[[Connection], T]) -> Awaitable[T]:
        async def work() -> T:
            with database.read() as connection:
                return function(connection)

        return work()

    def write(function: Callable[[Connection], T]) -> Awaitable[T]:
        async def work() -> T:
            with database.write() as connection:
                return function(connection)

        return work()

    api = FastAPI()
    api.include_router(build_router(read, lambda: None, lambda: write, lambda: NOW))
    return TestClient(api)


def add(door: TestClient, **more: Any) -> dict[str, Any]:
    text = (EXAMPLES / "brief.yaml").read_text(encoding="utf-8")
    answer = door.post("/api/clients", json={"brief_yaml": text, **more})
    assert answer.status_code == 201
    client: dict[str, Any] = answer.json()
    return client


def test_an_added_client_is_taken_at_once_and_has_one_run(door: TestClient, database: Database) -> None:
    first, second = add(door), add(door)
    assert (first["state"], first["new"], second["new"]) == ("in_progress", True, False)
    assert first["run_id"] == second["run_id"]
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(runs)).scalar() == 1
    assert add(door, again=True)["id"] != first["id"]
    assert len(door.get("/api/clients").json()["items"]) == 2


def test_a_client_is_shown_with_its_brief(door: TestClient) -> None:
    client = add(door)
    shown = door.get(f"/api/clients/{client['id']}").json()
    assert shown["brief"]["name"] == "Panadería La Espiga"
    with pytest.raises(NotFound):
        door.get("/api/clients/nobody")


def test_a_bad_brief_adds_nothing(door: TestClient) -> None:
    with pytest.raises(InvalidInput, match=r"brief\.yaml:1: name"):
        door.post("/api/clients", json={"brief_yaml": "name: ../../x\n"})
    assert door.get("/api/clients").json()["items"] == []


def test_check_says_what_is_in_order() -> None:
    outcome = CliRunner().invoke(cli, ["check", str(EXAMPLES / "brief.yaml")])
    assert outcome.exit_code == 0
    assert "is in order: Panadería La Espiga, 6 services, 5 pages" in outcome.stdout
    told = CliRunner().invoke(cli, ["check", str(EXAMPLES / "brief.yaml"), "--json"])
    assert json.loads(told.stdout)["city"] == "Zaragoza"


@pytest.mark.parametrize("command", ["check", "add"])
def test_a_file_that_cannot_be_read_is_an_input_error_before_any_master_is_asked(
    tmp_path: Path, command: str
) -> None:
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"x" * (MAX_BYTES + 1))
    for path in (tmp_path / "none.yaml", tmp_path, huge):
        outcome = CliRunner().invoke(cli, [command, str(path)])
        assert isinstance(outcome.exception, InvalidInput)
        assert str(path) in str(outcome.exception)
        assert outcome.exception.exit_code == 2

"""Schedules through the API and the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from master.cli import schedule as command
from master.cli.base import Api
from tests.integration.api.conftest import Caller

HOURLY = {"name": "hourly", "flow": "noop", "params": {"steps": 1}, "cron": "0 * * * *"}


def test_a_schedule_is_made_changed_switched_and_removed(caller: Caller) -> None:
    made = caller.post("/api/schedules", HOURLY)
    assert made.status_code == 201, made.text
    assert (made.json()["zone"], made.json()["created_by"]) == ("UTC", "token:local-owner")
    changed = caller.client.patch("/api/schedules/hourly", json={"zone": "Europe/Madrid"})
    assert changed.json()["zone"] == "Europe/Madrid"
    off = caller.client.put("/api/schedules/hourly/enabled", json={"enabled": False})
    assert (off.json()["enabled"], off.json()["next_at"]) == (False, None)
    assert caller.client.delete("/api/schedules/hourly").status_code == 204
    assert caller.client.get("/api/schedules/hourly").status_code == 404


def test_an_execution_is_started_seen_listed_and_cancelled(caller: Caller) -> None:
    caller.post("/api/schedules", HOURLY)
    started = caller.post("/api/schedules/hourly/executions", key="k")
    assert started.status_code == 201, started.text
    again = caller.post("/api/schedules/hourly/executions", key="k")
    assert again.json()["id"] == started.json()["id"]
    execution_id = started.json()["id"]
    assert caller.get(f"/api/executions/{execution_id}")["state"] == "running"
    assert [each["id"] for each in caller.get("/api/executions", schedule="hourly")["items"]] == [
        execution_id
    ]
    assert caller.get("/api/executions", state="failed")["items"] == []
    assert caller.post(f"/api/executions/{execution_id}/cancel").json()["state"] == "cancelled"
    assert caller.get(f"/api/runs/{started.json()['run_id']}")["state"] == "cancelled"
    assert caller.post(f"/api/executions/{execution_id}/cancel").status_code == 409


@pytest.fixture
def cli(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``d8 schedule ARGUMENTS`` against the application in this process; its standard output."""

    class Inside(Api):
        def _request(
            self, method: str, path: str, body: bytes | None, query: dict[str, Any], headers: dict[str, str]
        ) -> bytes:
            sent = {"Content-Type": "application/json", **headers}
            wanted = {name: value for name, value in query.items() if value is not None}
            answer = caller.client.request(method, path, content=body, params=wanted, headers=sent)
            assert answer.status_code < 300, answer.text
            return answer.content

    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(command, "connect", lambda: Inside("http://x", "x", 1))

    def run(*arguments: str) -> str:
        return CliRunner().invoke(command.app, list(arguments), catch_exceptions=False).stdout

    return run


def test_the_command_line_does_all_of_it(cli: Any) -> None:
    assert "Nothing is started" in cli("list")
    cli(
        "add",
        "nightly",
        "30 3 * * *",
        "--flow",
        "noop",
        "--params",
        '{"steps": 1}',
        "--zone",
        "Europe/Madrid",
    )
    assert "nightly" in cli("list")
    assert json.loads(cli("show", "nightly", "--json"))["cron"] == "30 3 * * *"
    assert "Europe/Madrid" in cli("show", "nightly")
    (started,) = json.loads(cli("run", "nightly", "--json"))
    assert started["id"] in cli("executions", "nightly")
    cli("cancel", started["id"])
    assert "cancelled" in cli("executions")
    cli("off", "nightly")
    assert "off" in cli("list")
    cli("on", "nightly")
    cli("remove", "nightly")
    assert json.loads(cli("list", "--json")) == []

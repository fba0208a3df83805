"""Approvals over HTTP, as the command line and other programs use them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from master.api.app import create_api
from master.clock import utc_now
from master.flows.engine import Engine
from master.settings import Settings, load_settings
from master.store import Database
from master.store.tables import events


class Door:
    """A client with the owner's token, and an engine that advances what it starts."""

    def __init__(self, client: TestClient, settings: Settings) -> None:
        token = (settings.secrets_folder / "owner.token").read_text().strip()
        self.client = client
        self.client.headers["Authorization"] = f"Bearer {token}"
        self.settings = settings
        self.database = Database(settings.sqlalchemy_url)
        self.engine = Engine(self.database, settings, utc_now)

    def ask(self, **params: Any) -> dict[str, Any]:
        """A run that asks; its request."""
        started = self.client.post("/api/runs", json={"flow": "rehearsal", "params": params})
        assert started.status_code == 201, started.text
        self.engine.advance(started.json()["id"])
        (asked,) = self.client.get("/api/approvals", params={"state": "pending"}).json()["items"]
        return dict(asked)

    def post(self, asked: dict[str, Any], what: str, **body: Any) -> Any:
        return self.client.post(f"/api/approvals/{asked['id']}/{what}", json=body)

    def recorded(self, name: str) -> list[dict[str, Any]]:
        with self.database.read() as connection:
            return list(connection.execute(select(events.c.data).where(events.c.name == name)).scalars())


@pytest.fixture
def door(d8_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    monkeypatch.setenv("D8_BROKER_URL", "memory://")
    settings = load_settings()
    with TestClient(create_api(settings)) as client:
        made = Door(client, settings)
        yield made
        made.database.close()


def test_a_request_is_approved_done_and_in_the_ledger(door: Door) -> None:
    asked = door.ask(type="PAYMENT", cost_minor=1250)
    decided = door.post(asked, "decision", approve=True, digest=asked["digest"]).json()
    assert (decided["state"], decided["door"]) == ("approved", "api")
    done = door.post(asked, "execution", actual="11.00 EUR", reference="F-1").json()
    assert (done["state"], done["actual_minor"]) == ("executed", 1100)
    entries = door.client.get("/api/ledger/entries").json()["items"]
    assert "settle" in str(entries)


def test_what_is_approved_can_be_abandoned(door: Door) -> None:
    asked = door.ask(type="PAYMENT", cost_minor=1250)
    door.post(asked, "decision", approve=True)
    assert door.post(asked, "abandonment", reason="not now").json()["state"] == "abandoned"
    assert door.post(asked, "execution").status_code == 409


@pytest.mark.parametrize(
    ("what", "body", "status"),
    [
        ("decision", {"approve": True, "digest": "0" * 64}, 409),
        ("decision", {"approve": False, "note": ""}, 422),
        ("execution", {"actual": "lots"}, 422),
        ("execution", {}, 409),
        ("abandonment", {"reason": "no"}, 409),
    ],
)
def test_an_answer_that_cannot_count_is_refused_and_leaves_the_request_open(
    door: Door, what: str, body: dict[str, Any], status: int
) -> None:
    asked = door.ask(cost_minor=1250)
    refused = door.post(asked, what, **body)
    assert (refused.status_code, refused.json()["detail"] != "") == (status, True), refused.text
    assert door.client.get(f"/api/approvals/{asked['id']}").json()["state"] == "pending"


def test_a_refused_answer_leaves_a_trace(door: Door) -> None:
    asked = door.ask()
    door.post(asked, "decision", approve=True, digest="0" * 64)
    (trace,) = door.recorded("approval_refused")
    assert (trace["approval"], trace["identity"]) == (asked["id"], "token:local-owner")


def test_who_started_a_run_is_known_to_what_it_asks(door: Door) -> None:
    assert door.ask()["asked_for"] == "token:local-owner"


def test_the_rules_that_hold_can_be_read_and_wrong_ones_are_told(door: Door) -> None:
    assert door.client.get("/api/policy").json()["daily_questions"] == 20
    door.settings.policy_path.write_text("daily_questions = 'many'")
    wrong = door.client.get("/api/policy")
    assert wrong.status_code == 422
    assert "policy.toml" in wrong.json()["detail"]

"""Idempotency keys over HTTP: what is repeated counts once, and what was answered stays with its caller."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from master.clock import utc_now
from master.idempotency import KEPT, forget_old_keys, idempotency
from tests.integration.api.conftest import Caller

START = {"flow": "noop", "params": {"steps": 1}}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/runs", START, "id"),
        ("/api/tokens", {"name": "grafana"}, "token"),
        ("/api/workers/invites", {"worker": "garage"}, "code"),
        ("/api/login-codes", {}, "code"),
        ("/api/ledger/record", {"kind": "expense", "amount": "1 EUR", "category": "hosting"}, "seq"),
    ],
)
def test_the_same_call_again_gets_the_same_answer(caller: Caller, path: str, body: Any, field: str) -> None:
    first, again = (caller.post(path, body, key="k1") for _ in range(2))
    assert first.status_code == again.status_code == 201, again.text
    assert first.json() == again.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    if field not in ("seq",):
        other = caller.post(path, {**body, "name": "other"} if field == "token" else body, key="k2")
        assert other.json()[field] != first.json()[field]


def test_spaces_and_order_make_no_other_call(caller: Caller) -> None:
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    one = caller.client.post("/api/runs", content='{"flow": "noop", "params": {"steps": 1}}', headers=headers)
    two = caller.client.post("/api/runs", content='{"params":{"steps":1},"flow":"noop"}', headers=headers)
    assert one.json() == two.json()


def test_a_key_does_not_stand_for_two_calls(caller: Caller) -> None:
    caller.post("/api/runs", START, key="k")
    other = caller.post("/api/runs", {"flow": "noop", "params": {"steps": 2}}, key="k")
    elsewhere = caller.post("/api/tokens", {"name": "x"}, key="k")
    assert (other.status_code, elsewhere.status_code) == (409, 409)
    assert "new key" in other.json()["detail"]
    assert len(caller.get("/api/runs")["items"]) == 1


def test_a_call_that_failed_may_be_repeated_under_its_key(caller: Caller) -> None:
    assert caller.post("/api/runs", {"flow": "nothing"}, key="k").status_code == 404
    assert caller.read(lambda c: c.execute(select(idempotency)).all()) == []
    assert caller.post("/api/runs", START, key="k").status_code == 201


def test_what_was_answered_is_not_kept_in_clear(caller: Caller) -> None:
    token = caller.post("/api/tokens", {"name": "grafana", "scope": "owner"}, key="secret-key").json()[
        "token"
    ]
    (kept,) = caller.read(lambda c: c.execute(select(idempotency)).all())
    assert kept.answer
    for secret in (token, "secret-key", "grafana", caller.client.headers["authorization"][7:]):
        assert secret not in "".join(map(str, kept))


def test_anothers_key_of_the_same_name_is_another_key(caller: Caller) -> None:
    mine = caller.post("/api/login-codes", key="k").json()
    other = caller.post("/api/tokens", {"name": "program", "scope": "owner"}).json()["token"]
    caller.client.headers["Authorization"] = f"Bearer {other}"
    theirs = caller.post("/api/login-codes", key="k")
    assert theirs.status_code == 201
    assert theirs.json() != mine


def test_anothers_key_finds_nobody_elses_run(caller: Caller) -> None:
    """Nor one that the master started itself, whose keys anybody could guess."""
    mine = caller.post("/api/runs", START, key="k").json()["id"]
    other = caller.post("/api/tokens", {"name": "program", "scope": "owner"}).json()["token"]
    caller.client.headers["Authorization"] = f"Bearer {other}"
    theirs = caller.post("/api/runs", START, key="k")
    assert theirs.json()["id"] != mine
    assert (
        caller.post("/api/runs", {"flow": "noop", "params": {"steps": 2}}, key="client:x").status_code == 201
    )


def test_a_key_is_good_for_two_days(caller: Caller) -> None:
    first = caller.post("/api/login-codes", key="k").json()
    now = utc_now()
    assert caller.write(lambda c: forget_old_keys(c, now=now + KEPT - timedelta(hours=1))) == 0
    assert caller.post("/api/login-codes", key="k").json() == first
    caller.write(lambda c: c.execute(update(idempotency).values(at=now - KEPT - timedelta(seconds=1))))
    assert caller.post("/api/login-codes", key="k").json() != first
    assert caller.write(lambda c: forget_old_keys(c, now=now + 2 * KEPT)) == 1

"""Webhooks through the API: made, shown without their secret, tested, switched off, removed."""

from __future__ import annotations

from master.duties import Duties
from tests.integration.api.conftest import Caller

HOOK = {"name": "home", "url": "https://hooks.example/d8", "events": ["run_*"]}


def test_the_secret_is_shown_once(caller: Caller) -> None:
    made = caller.post("/api/webhooks", HOOK, key="k")
    assert made.status_code == 201, made.text
    assert made.json()["secret"].startswith("whsec_")
    assert caller.post("/api/webhooks", HOOK, key="k").json() == made.json()
    assert made.json()["secret"] not in caller.client.get("/api/webhooks").text
    assert "secret" not in caller.get("/api/webhooks/home")


def test_a_test_is_a_delivery_that_can_be_looked_up_and_repeated(caller: Caller) -> None:
    caller.post("/api/webhooks", HOOK)
    sent = caller.post("/api/webhooks/home/test")
    assert (sent.status_code, sent.json()["state"]) == (201, "pending")
    delivery_id = sent.json()["id"]
    assert caller.get(f"/api/deliveries/{delivery_id}")["event"] == "webhook_test"
    assert [each["id"] for each in caller.get("/api/deliveries", webhook="home")["items"]] == [delivery_id]
    assert caller.post(f"/api/deliveries/{delivery_id}/redeliver").json()["attempts"] == 0
    assert caller.get("/api/webhooks/home")["waiting"] == 1


def test_a_webhook_is_switched_and_removed(caller: Caller) -> None:
    caller.post("/api/webhooks", HOOK)
    assert caller.client.put("/api/webhooks/home/enabled", json={"enabled": False}).json()["enabled"] is False
    assert caller.client.delete("/api/webhooks/home").status_code == 204
    assert caller.client.get("/api/webhooks/home").status_code == 404
    assert caller.post("/api/webhooks", {**HOOK, "url": "ftp://example.com/"}).status_code == 422


def test_the_master_does_all_of_it_by_the_clock() -> None:
    """Every duty that this module needs is one of the beat's."""
    from master.app import app

    beaten = {entry["task"] for entry in app.conf.beat_schedule.values()}
    for name in ("tick", "do_scheduled", "tell_webhooks", "forget"):
        assert f"master.{name}" in beaten
        assert callable(getattr(Duties, name))

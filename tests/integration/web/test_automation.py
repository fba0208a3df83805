"""The settings' pages of schedules and webhooks, in a browser with JavaScript off."""

from __future__ import annotations

import re

import pytest

from master.schedules.store import get_schedule, list_schedules
from master.webhooks.store import get_webhook, list_deliveries
from tests.integration.web.stage import HOSTILE, Stage

SCHEDULE = {"name": "nightly", "starts": "flow:noop", "cron": "30 3 * * *", "zone": "Europe/Madrid",
            "params": '{"steps": 1}', "missed": "skip", "overlap": "allow"}  # fmt: skip
HOOK = {"name": "home", "url": "https://hooks.example/d8", "events": "run_*, approval_requested"}


def text(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_a_schedule_is_set_started_switched_and_removed(stage: Stage) -> None:
    stage.login()
    assert "Nothing is started by the clock yet" in stage.browser.get("/settings/schedules").text
    added = stage.browser.post("/settings/schedules", data=SCHEDULE)
    assert "The schedule is set" in added.text, text(added.text)[:500]
    made = stage.read(lambda c: get_schedule(c, "nightly"))
    assert (made.flow, made.zone, made.missed, made.overlap) == ("noop", "Europe/Madrid", "skip", "allow")

    started = stage.browser.post("/settings/schedules/nightly/run")
    assert "It was started" in started.text
    last = stage.read(lambda c: get_schedule(c, "nightly")).last
    assert last is not None
    assert last.run_id in started.text
    assert "/executions/" + last.id in started.text, "what goes on can be cancelled"
    assert "cancelled" in text(stage.browser.post(f"/settings/schedules/executions/{last.id}/cancel").text)

    assert "switched off" in stage.browser.post("/settings/schedules/nightly/off").text
    assert "due next" in stage.browser.post("/settings/schedules/nightly/on").text
    stage.browser.post("/settings/schedules/nightly/remove")
    assert stage.read(list_schedules) == []


@pytest.mark.parametrize(
    "wrong",
    [{"name": "Not A Name"}, {"cron": "never"}, {"params": "{"}, {"params": "[]"}, {"zone": "Mars"},
     {"starts": "flow:"}, {"starts": "duty:sleep"}, {"missed": "perhaps"}],
)  # fmt: skip
def test_a_wrong_field_is_said_and_nothing_is_set(stage: Stage, wrong: dict[str, str]) -> None:
    stage.login()
    answer = stage.browser.post("/settings/schedules", data={**SCHEDULE, **wrong})
    assert answer.status_code in (404, 422), text(answer.text)
    assert stage.read(list_schedules) == []


def test_a_webhooks_secret_is_shown_once_and_a_test_is_listed(stage: Stage) -> None:
    stage.login()
    made = stage.browser.post("/settings/webhooks", data=HOOK)
    (secret,) = re.findall(r"whsec_[\w+/=]+", made.text)
    assert secret not in stage.browser.get("/settings/webhooks").text
    assert stage.read(lambda c: get_webhook(c, "home")).events == ("approval_requested", "run_*")
    assert "A test is on its way" in stage.browser.post("/settings/webhooks/home/test").text
    (delivery,) = stage.read(list_deliveries)
    page = stage.browser.get("/settings/webhooks").text
    assert "webhook_test" in page
    stage.browser.post(f"/settings/webhooks/deliveries/{delivery.id}/redeliver")
    stage.browser.post("/settings/webhooks/home/off")
    assert not stage.read(lambda c: get_webhook(c, "home")).enabled
    stage.browser.post("/settings/webhooks/home/on")
    stage.browser.post("/settings/webhooks/home/remove")
    assert "Nobody is told" in stage.browser.get("/settings/webhooks").text


def test_what_is_no_address_is_refused_on_a_page(stage: Stage) -> None:
    stage.login()
    for wrong in ({"url": "ftp://example.com"}, {"name": HOSTILE}, {"events": "Run Done!"}):
        answer = stage.browser.post("/settings/webhooks", data={**HOOK, **wrong})
        assert answer.status_code == 422
        assert "<script>alert" not in answer.text


@pytest.mark.parametrize("page", ["schedules", "webhooks"])
def test_the_pages_are_the_owners_and_speak_spanish(stage: Stage, page: str) -> None:
    path = f"/settings/{page}"
    assert stage.browser.get(path, follow_redirects=False).status_code == 303
    stage.login()
    stage.browser.post("/settings/schedules", data=SCHEDULE)
    stage.browser.post("/settings/schedules/nightly/run")
    stage.browser.post("/settings/webhooks", data=HOOK)
    stage.browser.post("/settings/webhooks/home/test")
    shown = stage.browser.get(path, headers={"accept-language": "es"}).text
    for english in ("Switch off", "A new", "The latest", "how it stands", "what came of it", "every event"):
        assert english not in shown
    assert {"schedules": "Horarios", "webhooks": "Quién"}[page][:6] in shown or "A quién" in shown


def test_a_button_that_there_is_not_does_nothing(stage: Stage) -> None:
    stage.login()
    stage.browser.post("/settings/schedules", data=SCHEDULE)
    assert stage.browser.post("/settings/schedules/nightly/explode").status_code == 404
    assert stage.browser.post("/settings/webhooks/nobody/test").status_code == 404

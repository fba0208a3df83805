"""The settings: tokens, rules, notifications, backup, and what they show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from master.api.app import create_api
from master.backup.archive import check_archive
from master.settings import load_settings
from master.store import Database
from master.store.tables import events
from master.telegram.content import find_content
from master.telegram.messages import messages_to_send
from master.telegram.tables import telegram_messages
from master.web import settings as web_settings
from tasks.protocol import ModelServerStats
from tests.integration.web.stage import HOSTILE, ORIGIN, Stage
from tests.integration.web.test_home import put_worker

PASSPHRASE = "four words are good"


def happened(stage: Stage, name: str) -> list[dict[str, Any]]:
    return stage.read(lambda c: list(c.execute(select(events.c.data).where(events.c.name == name)).scalars()))


def post(stage: Stage, path: str, **form: str) -> Any:
    return stage.browser.post(path, data=form, follow_redirects=False)


def test_every_page_is_in_the_menu_and_says_which_it_is(stage: Stage) -> None:
    stage.login()
    for page in web_settings.PAGES:
        answer = stage.browser.get(page.path)
        assert answer.status_code == 200, page.path
        menu = answer.text.partition('class="parts"')[2].partition("</nav>")[0]
        assert re.findall(r'href="([^"]+)"', menu) == [each.path for each in web_settings.PAGES]
        assert re.findall(r'href="([^"]+)" aria-current="page"', menu) == [page.path]
        assert not re.search(r"<style|\sstyle=|\son\w+=", answer.text), page.path


def test_no_settings_without_an_owner(stage: Stage) -> None:
    for page in web_settings.PAGES:
        answer = stage.browser.get(page.path, follow_redirects=False)
        assert answer.headers["location"] == "/login", page.path


def test_a_token_is_shown_once_works_and_is_revoked(stage: Stage) -> None:
    stage.login()
    made = stage.browser.post("/settings/tokens", data={"name": "prometheus", "scope": "metrics"})
    token = re.search(r"<code class=\"command\">(d8[^<]+)</code>", made.text)
    assert token
    assert made.headers["cache-control"] == "no-store"
    assert "data-still" in made.text, "no refresh takes it away before it is copied"
    assert token[1] not in stage.browser.get("/settings/tokens").text
    scraper = {"authorization": f"Bearer {token[1]}"}
    assert stage.browser.get("/metrics", headers=scraper).status_code == 200
    assert post(stage, "/settings/tokens/prometheus/revoke").status_code == 303
    stage.browser.cookies.clear()
    assert stage.browser.get("/metrics", headers=scraper).status_code == 401


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"name": "Not Good", "scope": "metrics"}, 422),
        ({"name": "x", "scope": "worker"}, 422),
        ({"name": "x"}, 422),
        ({"name": "local-owner", "scope": "owner"}, 409),
    ],
)
def test_a_token_that_cannot_be_is_refused_in_words(stage: Stage, form: dict[str, str], status: int) -> None:
    stage.login()
    assert post(stage, "/settings/tokens", **form).status_code == status
    assert post(stage, "/settings/tokens/local-owner/revoke").status_code == 409


def test_rules_are_checked_saved_and_undone(stage: Stage) -> None:
    stage.login()
    path = stage.home / "policy.toml"
    page = stage.browser.get("/settings/policy").text
    before = re.search(r'name="before" value="([0-9a-f]{64})"', page)
    assert before
    first = '[PAYMENT]\nexpires = "3d"\n'

    wrong = stage.browser.post(
        "/settings/policy", data={"text": f"{first}foo = <b>", "before": before[1], "act": "save"}
    )
    assert wrong.status_code == 422
    assert "is not TOML" in wrong.text
    assert "foo = &lt;b&gt;" in wrong.text, "what was written is still there to be corrected"
    checked = stage.browser.post(
        "/settings/policy", data={"text": first, "before": before[1], "act": "check"}
    )
    assert "not saved yet" in checked.text
    assert not path.exists()

    saved = post(stage, "/settings/policy", text=first.replace("\n", "\r\n"), before=before[1], act="save")
    assert saved.headers["location"] == "/settings/policy?done=saved"
    assert path.read_text() == first
    assert "3 days" in stage.browser.get("/settings/policy").text
    late = post(stage, "/settings/policy", text="", before=before[1], act="save")
    assert late.status_code == 409, "somebody else has changed them"
    assert post(stage, "/settings/policy/undo").status_code == 303
    assert path.read_text() == ""
    assert [len(happened(stage, name)) for name in ("policy_changed", "policy_undone")] == [1, 1]


def test_a_file_that_is_wrong_by_hand_is_shown_with_what_is_wrong(stage: Stage) -> None:
    stage.login()
    (stage.home / "policy.toml").write_text("time_zone = 3\n# " + HOSTILE)
    for path in ("/settings/policy", "/settings/notifications"):
        text = stage.browser.get(path).text
        assert "time_zone" in text
        assert "<script>alert" not in text
    assert "time_zone = 3" in stage.browser.get("/settings/policy").text


def test_api_changes_the_rules_as_the_page_does(stage: Stage) -> None:
    token = (stage.home / "secrets" / "owner.token").read_text().strip()
    stage.browser.headers["authorization"] = f"Bearer {token}"
    shown = stage.browser.get("/api/policy/text").json()
    body = {"text": "daily_questions = 3\n", "before": shown["before"]}
    assert stage.browser.put("/api/policy/text", json=body).json()["daily_questions"] == 3
    assert stage.browser.put("/api/policy/text", json=body).status_code == 409
    assert stage.browser.put("/api/policy/text", json={"text": "foo = 1"}).status_code == 422


@pytest.fixture
def with_bot(d8_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("D8_TELEGRAM_TOKEN", "12345:not-a-real-one")
    monkeypatch.setenv("D8_TELEGRAM_USERS", "4711,4712")
    settings = load_settings(home=d8_home)
    database = Database(settings.sqlalchemy_url)
    with TestClient(create_api(settings), base_url=ORIGIN) as browser:
        yield Stage(browser, database, d8_home)
    database.close()


def test_a_test_message_waits_in_the_outbox_and_its_fate_is_shown(with_bot: Stage) -> None:
    stage = with_bot
    stage.login()
    assert "not written to the bot yet" in stage.browser.get("/settings/notifications").text
    assert post(stage, "/settings/notifications/test").status_code == 303
    waiting = stage.read(lambda c: messages_to_send(c, 10, []))
    assert sorted(message.chat_id for message in waiting) == [4711, 4712]
    content = stage.read(lambda c: find_content(c, waiting[0], b"key"))
    assert content is not None
    assert "A test from the dashboard, sent by dashboard." in content.text
    again = stage.browser.post("/settings/notifications/test")
    assert again.status_code == 409
    assert "a moment ago" in again.text

    assert stage.browser.get("/settings/notifications").text.count("on its way") == 2
    for state, shown in (
        ("sent", "delivered"),
        ("unreachable", "or blocked it"),
        ("refused", "refused by"),
    ):
        stage.write(lambda c, state=state: c.execute(update(telegram_messages).values(state=state)))  # type: ignore[misc]
        assert stage.browser.get("/settings/notifications").text.count(shown) >= 1, state


def test_without_a_bot_the_page_says_how_to_get_one(stage: Stage) -> None:
    stage.login()
    assert "@BotFather" in stage.browser.get("/settings/notifications").text
    answer = stage.browser.post("/settings/notifications/test")
    assert answer.status_code == 409
    assert "D8_TELEGRAM_TOKEN" in answer.text


def test_models_are_shown_where_they_are(stage: Stage) -> None:
    put_worker(stage, "garage", ModelServerStats(models=("embedded:smollm2",), rows=8, max_rows=32))
    put_worker(stage, "attic", None)
    stage.login()
    text = stage.browser.get("/settings/model").text
    for expected in ("embedded:smollm2", "embedded:minilm", "garage", "8 of 32 rows", "D8_MODEL", "attic"):
        assert expected in text, expected


def test_a_backup_is_whole_sealed_and_left_nowhere_else(stage: Stage, tmp_path: Path) -> None:
    stage.login()
    form = {"passphrase": PASSPHRASE, "again": PASSPHRASE, "secrets": "yes"}
    answer = stage.browser.post("/settings/backup/download", data=form)
    assert answer.status_code == 200, answer.text[-500:]
    assert answer.headers["content-disposition"].endswith('.d8backup"')
    assert answer.headers["cache-control"] == "no-store"
    file = tmp_path / "got"
    file.write_bytes(answer.content)
    manifest = check_archive(file, PASSPHRASE, lambda _: None)
    assert manifest.with_secrets
    assert "secrets/owner.token" in manifest.members
    assert not list(stage.home.glob(".download-*"))
    assert "The last backup was made" in stage.browser.get("/settings/backup").text
    (fact,) = happened(stage, "backup_downloaded")
    assert fact["bytes"] == len(answer.content)
    assert PASSPHRASE not in str(fact)


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"passphrase": "short", "again": "short"}, "take 10 or more"),
        ({"passphrase": PASSPHRASE, "again": "another"}, "not the same"),
        ({}, "take 10 or more"),
    ],
)
def test_a_backup_without_a_good_passphrase_is_not_made(stage: Stage, form: dict[str, str], why: str) -> None:
    stage.login()
    answer = stage.browser.post("/settings/backup/download", data=form)
    assert answer.status_code == 422
    assert why in answer.text


def test_about_names_the_build_the_database_and_the_libraries(stage: Stage) -> None:
    stage.login()
    text = stage.browser.get("/settings/about").text
    for expected in ("sqlite", "htmx.org", "uplot", "0BSD", "/api/docs"):
        assert expected in text, expected

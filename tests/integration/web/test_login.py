"""Who may see the dashboard: codes, sessions, tokens."""

from __future__ import annotations

from datetime import UTC, datetime

from master.api.auth import COOKIE
from master.tokens import Scope, find_principal
from tests.integration.web.stage import Stage


def test_page_without_login_leads_to_how_to_log_in(stage: Stage) -> None:
    for path in ("/", "/runs", "/runs/x", "/approvals"):
        answer = stage.browser.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login"), path
    assert "d8 dashboard" in stage.browser.get("/").text


def test_code_logs_in_once(stage: Stage) -> None:
    code = stage.code()
    first = stage.browser.get("/login", params={"code": code}, follow_redirects=False)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"].lower()
    assert {"httponly", "samesite=strict", "path=/"} <= set(cookie.split("; "))
    assert code not in cookie
    assert stage.browser.get("/", follow_redirects=False).status_code == 200

    stage.browser.cookies.clear()
    second = stage.browser.get("/login", params={"code": code}, follow_redirects=False)
    assert second.status_code == 401
    assert "set-cookie" not in second.headers
    assert "d8 dashboard" in second.text


def test_code_that_is_wrong_expired_or_of_a_worker_is_refused(stage: Stage) -> None:
    for code in ("wrong", stage.code(minutes=-1), stage.code(scope=Scope.WORKER)):
        answer = stage.browser.get("/login", params={"code": code}, follow_redirects=False)
        assert answer.status_code == 401
        assert COOKIE not in stage.browser.cookies


def test_owners_own_token_in_a_login_link_is_neither_taken_nor_used_up(stage: Stage) -> None:
    token = (stage.home / "secrets" / "owner.token").read_text().strip()
    assert stage.browser.get("/login", params={"code": token}).status_code == 401
    assert stage.read(lambda c: find_principal(c, token, now=datetime.now(UTC))) is not None


def test_preview_of_the_link_does_not_use_the_code_up(stage: Stage) -> None:
    code = stage.code()
    assert stage.browser.head("/login", params={"code": code}).status_code == 200
    assert stage.browser.get("/login", params={"code": code}, follow_redirects=False).status_code == 303


def test_logout_makes_the_cookie_worthless(stage: Stage) -> None:
    stage.login()
    token = stage.browser.cookies[COOKIE]
    answer = stage.browser.post("/logout", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert COOKIE not in stage.browser.cookies
    assert stage.read(lambda c: find_principal(c, token, now=datetime.now(UTC))) is None


def test_workers_token_opens_no_page(stage: Stage) -> None:
    token = stage.code(scope=Scope.WORKER)
    answer = stage.browser.get("/", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 409
    assert "takes an owner token" in answer.text

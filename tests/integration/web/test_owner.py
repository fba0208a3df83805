"""The owner's way in: first run, password, sessions; and who stays outside."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import select

from master.api.auth import COOKIE, FORM_HEADER, form_token
from master.approvals import get_approval
from master.clock import utc_now
from master.owners.accounts import list_owners, welcome_code
from master.owners.limits import FREE_FOR_ACCOUNT
from master.owners.sessions import list_sessions
from master.store.tables import events
from master.tokens import Principal, Scope
from tests.integration.web.stage import ORIGIN, Stage

PASSWORD = "correct horse staple"


def code(stage: Stage) -> str:
    return stage.write(lambda c: welcome_code(c, by="local-owner", now=utc_now()))


def become(stage: Stage, name: str = "ana", **fields: str) -> Any:
    given = fields.pop("code", "") or code(stage)
    form = {"code": given, "name": name, "password": PASSWORD, "again": PASSWORD, **fields}
    return stage.browser.post("/welcome", data=form, headers={"origin": ORIGIN}, follow_redirects=False)


def log_in(stage: Stage, name: str = "ana", password: str = PASSWORD) -> Any:
    form = {"name": name, "password": password}
    return stage.browser.post("/login", data=form, headers={"origin": ORIGIN}, follow_redirects=False)


def submit(stage: Stage, path: str, **form: str) -> Any:
    """As a page's form does: with the token of its session as a field."""
    form["csrf"] = form_token(stage.browser.cookies[COOKIE])
    return stage.browser.post(path, data=form, headers={"origin": ORIGIN}, follow_redirects=False)


def names(stage: Stage) -> list[str]:
    return [owner.name for owner in stage.read(list_owners)]


def happened(stage: Stage, name: str) -> list[dict[str, Any]]:
    return stage.read(lambda c: list(c.execute(select(events.c.data).where(events.c.name == name)).scalars()))


def test_first_run_makes_the_owner_and_lets_them_in(stage: Stage) -> None:
    page = stage.browser.get("/")
    assert "d8 admin code" in page.text, "nobody has a password yet"
    answer = become(stage)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = set(answer.headers["set-cookie"].lower().split("; "))
    assert {"httponly", "samesite=strict", "path=/"} <= cookie
    assert stage.browser.get("/", follow_redirects=False).status_code == 200
    assert names(stage) == ["ana"]
    assert "ana" in stage.browser.get("/settings").text


def test_cookie_travels_only_encrypted_where_the_page_does(stage: Stage) -> None:
    become(stage)
    form = {"name": "ana", "password": PASSWORD}
    secure = stage.browser.post(
        "https://testserver/login",
        data=form,
        headers={"origin": "https://testserver"},
        follow_redirects=False,
    )
    assert "secure" in secure.headers["set-cookie"].lower().split("; ")


@pytest.mark.parametrize(
    ("fields", "status", "why"),
    [
        ({"again": "something else"}, 422, "not the same"),
        ({"password": "password123", "again": "password123"}, 422, "first that are tried"),
        ({"name": "Not A Name"}, 422, "small letters"),
        ({"code": "AAAAA-AAAAA-AAAAA-AAAAA"}, 409, "d8 admin code"),
    ],
)
def test_what_is_wrong_is_said_and_uses_the_code_up_for_nothing(
    stage: Stage, fields: dict[str, str], status: int, why: str
) -> None:
    answer = become(stage, **fields)
    assert answer.status_code == status
    assert why in answer.text
    assert names(stage) == []
    assert PASSWORD not in answer.text
    good = re.search(r'name="code"[^>]*value="([^"]+)"', answer.text)
    assert good
    if "code" not in fields:
        assert become(stage, code=good[1]).status_code == 303


def test_a_form_of_another_site_makes_no_owner_and_logs_nobody_in(stage: Stage) -> None:
    for path in ("/welcome", "/login", "/language"):
        for origin in ("https://evil.example", "null", ""):
            answer = stage.browser.post(path, data={"code": "x"}, headers={"origin": origin})
            assert answer.status_code == 409, (path, origin)


def test_a_password_lets_in_and_a_wrong_one_and_an_unknown_name_read_the_same(stage: Stage) -> None:
    become(stage)
    stage.browser.cookies.clear()
    wrong, unknown = log_in(stage, password="not this one"), log_in(stage, "nobody")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert COOKIE not in stage.browser.cookies
    assert wrong.text.replace("ana", "") == unknown.text.replace("nobody", "")
    assert log_in(stage, " Ana ").status_code == 303
    failed = happened(stage, "login_failed")
    assert [event["owner"] for event in failed] == ["ana", ""], "what was typed as a name may be a password"
    assert "not this one" not in str(failed)


def test_guessing_is_slowed_down_and_says_for_how_long(stage: Stage) -> None:
    become(stage)
    stage.browser.cookies.clear()
    for _ in range(FREE_FOR_ACCOUNT):
        assert log_in(stage, password="wrong wrong").status_code == 401
    for password in ("wrong wrong", PASSWORD):
        answer = log_in(stage, password=password)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 15
        assert "d8 dashboard" in answer.text
    stage.login()
    assert stage.browser.get("/", follow_redirects=False).status_code == 200, (
        "the terminal's link still works"
    )


def test_logging_in_again_ends_the_session_before(stage: Stage) -> None:
    become(stage)
    first = stage.browser.cookies[COOKIE]
    log_in(stage)
    assert stage.browser.cookies[COOKIE] != first
    stage.browser.cookies.clear()
    stage.browser.cookies.set(COOKIE, first)
    stage.browser.app.state.gatekeeper.forget()  # type: ignore[attr-defined]
    assert stage.browser.get("/", follow_redirects=False).status_code == 303


def test_a_form_without_its_sessions_token_changes_nothing(stage: Stage) -> None:
    become(stage)
    headers = {"origin": ORIGIN}
    for token in ("", "x" * 64, form_token("another session")):
        for path in ("/logout", "/settings/tokens", "/settings/owners/invite", "/approvals/x/decision"):
            answer = stage.browser.post(path, data={"csrf": token}, headers=headers, follow_redirects=False)
            assert answer.status_code == 409, (path, token)
            assert "another session" in answer.text
        for path in ("/api/dispatch/pause", "/api/owners/codes"):
            answer = stage.browser.post(path, headers={**headers, FORM_HEADER: token})
            assert answer.status_code == 409, (path, token)
    assert stage.browser.post("/api/dispatch/pause", headers={**headers, FORM_HEADER: form_token(
        stage.browser.cookies[COOKIE])}).status_code == 200  # fmt: skip
    assert submit(stage, "/logout").headers["location"] == "/login"


def test_every_form_of_every_page_carries_the_token(stage: Stage) -> None:
    stage.ask()
    become(stage)
    token = form_token(stage.browser.cookies[COOKIE])
    found = 0
    for path in ("/", "/runs", "/approvals", "/settings", "/settings/tokens", "/settings/policy"):
        for form in re.findall(
            r'<form\b[^>]*method="post".*?</form>', stage.browser.get(path).text, re.DOTALL
        ):
            assert f'name="csrf" value="{token}"' in form
            found += 1
    assert found > 12


def test_a_code_that_logs_in_is_no_token_of_the_api(stage: Stage) -> None:
    answer = stage.browser.get("/api/status", headers={"authorization": f"Bearer {stage.code()}"})
    assert answer.status_code == 401


def test_link_from_the_terminal_is_the_only_owners_session_and_nobodys_where_there_are_two(
    stage: Stage,
) -> None:
    def owner_of_new_session() -> str:
        stage.browser.cookies.clear()
        stage.login()
        return stage.read(lambda c: list_sessions(c, now=utc_now()))[0].owner

    become(stage)
    assert owner_of_new_session() == "ana"
    become(stage, "luis")
    assert owner_of_new_session() == ""


def test_decisions_are_signed_with_the_owners_name_and_two_owners_are_two_people(stage: Stage) -> None:
    asked = {name: stage.ask(f"Buy it for {name}") for name in ("ana", "luis")}
    for name, approval_id in asked.items():
        become(stage, name)
        form = stage.decision(approval_id, decision="approve")
        assert submit(stage, f"/approvals/{approval_id}/decision", **form).status_code == 303
    for name, approval_id in asked.items():
        approval = stage.read(lambda c, wanted=approval_id: get_approval(c, wanted))  # type: ignore[misc]
        assert (approval.decided_by, approval.door) == (name, "dashboard")
    ana, luis = (Principal(scope=Scope.OWNER, name=name, owner=name) for name in asked)
    assert (ana.identity, luis.identity) == ("owner:ana", "owner:luis"), "as policy.toml knows them"
    assert Principal(scope=Scope.OWNER, name="ana").identity == "token:ana", "a token of that name is not she"


def test_a_password_is_changed_by_who_knows_it_and_ends_the_other_sessions(stage: Stage) -> None:
    become(stage)
    elsewhere = stage.browser.cookies[COOKIE]
    stage.browser.cookies.clear()
    log_in(stage)
    new = {"password": "four other words", "again": "four other words"}
    refused = submit(stage, "/settings/password", before="not it at all", **new)
    assert refused.status_code == 409
    assert submit(stage, "/settings/password", before=PASSWORD, **new).status_code == 303
    assert stage.browser.get("/", follow_redirects=False).status_code == 200, "this session goes on"
    stage.browser.cookies.clear()
    stage.browser.cookies.set(COOKIE, elsewhere)
    assert stage.browser.get("/", follow_redirects=False).status_code == 303
    stage.browser.cookies.clear()
    assert log_in(stage).status_code == 401
    assert log_in(stage, password="four other words").status_code == 303


def test_api_invites_lists_and_removes_owners(stage: Stage) -> None:
    token = (stage.home / "secrets" / "owner.token").read_text().strip()
    stage.browser.headers["authorization"] = f"Bearer {token}"
    made = stage.browser.post("/api/owners/codes")
    assert made.status_code == 201
    become(stage, "luis", code=made.json()["code"])
    become(stage)
    listed = stage.browser.get("/api/owners").json()["items"]
    assert [(owner["name"], owner["has_password"]) for owner in listed] == [("luis", True), ("ana", True)]
    assert "argon2" not in stage.browser.get("/api/owners").text
    body = {"password": "set from a terminal"}
    assert stage.browser.put("/api/owners/luis/password", json=body).json() == {"sessions": 0}
    assert stage.browser.delete("/api/owners/luis").json()["name"] == "luis"
    assert stage.browser.delete("/api/owners/ana").status_code == 409, "the last one"
    sessions = stage.browser.get("/api/sessions").json()["items"]
    assert [session["owner"] for session in sessions] == ["ana"]
    assert stage.browser.delete(f"/api/sessions/{sessions[0]['id']}").status_code == 200
    assert stage.browser.delete("/api/sessions").json() == {"sessions": 0}


def test_pages_speak_the_chosen_language_and_lead_back(stage: Stage) -> None:
    form = {"language": "es", "back": "/login?x=1"}
    answer = stage.browser.post("/language", data=form, headers={"origin": ORIGIN}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?x=1")
    assert '<html lang="es">' in stage.browser.get("/login").text
    bad = {"language": "xx", "back": "/"}
    assert stage.browser.post("/language", data=bad, headers={"origin": ORIGIN}).status_code == 422

"""Forms from elsewhere, forms that are none, markup in what people wrote, and the headers of every answer."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import func, select

from master.approvals import ApprovalState, get_approval
from master.store.tables import tokens
from tests.integration.web.stage import HOSTILE, Stage


def test_form_from_another_site_changes_nothing(stage: Stage) -> None:
    approval_id = stage.ask()
    stage.login()
    before = stage.read(lambda c: c.execute(select(func.count()).select_from(tokens)).scalar_one())
    form = stage.decision(approval_id, decision="approve")
    for origin in ("", "https://evil.example", "null"):
        stage.browser.headers["origin"] = origin
        for path in (f"/approvals/{approval_id}/decision", "/runs/x/cancel", "/logout"):
            answer = stage.browser.post(path, data=form, follow_redirects=False)
            assert answer.status_code == 409, (origin, path)
    assert stage.read(lambda c: get_approval(c, approval_id)).state is ApprovalState.PENDING
    assert before == stage.read(lambda c: c.execute(select(func.count()).select_from(tokens)).scalar_one())


def test_form_that_is_too_large_or_not_a_form_is_refused(stage: Stage) -> None:
    approval_id = stage.ask()
    stage.login()
    path = f"/approvals/{approval_id}/decision"
    assert stage.browser.post(path, content=b"note=" + b"x" * 40_000).status_code == 422
    assert stage.browser.post(path, content=b"note=%ff").status_code == 422
    assert stage.browser.post(path, content=b"\xff\xfe").status_code == 422
    assert stage.browser.post(path, data=stage.decision(approval_id, decision="maybe")).status_code == 422


@pytest.mark.parametrize("back", ["https://evil.example", "//evil.example", "run:/../../evil", "run://x"])
def test_form_never_leads_to_another_site(stage: Stage, back: str) -> None:
    approval_id = stage.ask()
    stage.login()
    form = stage.decision(approval_id, decision="approve", back=back)
    answer = stage.browser.post(f"/approvals/{approval_id}/decision", data=form, follow_redirects=False)
    assert re.fullmatch(r"/(runs/[^/]+)?", answer.headers["location"])


def test_markup_in_what_flows_write_is_shown_and_never_obeyed(stage: Stage) -> None:
    approval_id = stage.ask(HOSTILE)
    stage.login()
    run_id = stage.read(lambda c: get_approval(c, approval_id)).run_id
    for path in ("/", "/runs", "/approvals", f"/runs/{run_id}"):
        text = stage.browser.get(path).text
        assert "&lt;script&gt;alert(1)" in text, path
        assert "<script>alert" not in text, path
        assert "<img src=x" not in text, path


def test_every_answer_carries_the_security_headers(stage: Stage) -> None:
    answers = [stage.browser.get(path, follow_redirects=False) for path in ("/", "/login", "/login?code=x")]
    stage.login()
    paths = ("/", "/runs", "/approvals", "/runs/none", "/static/d8.css", "/runs?before=x")
    answers += [stage.browser.get(path) for path in paths]
    answers.append(stage.browser.post("/runs/none/cancel"))
    answers.append(stage.browser.post("/logout", follow_redirects=False))
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy == "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        if "/static/" not in str(answer.url):
            assert answer.headers["cache-control"] == "no-store"

"""Requests decided through the page's forms."""

from __future__ import annotations

from sqlalchemy import func, select

from master.approvals import ApprovalState, get_approval
from master.store.tables import outcomes
from tests.integration.web.stage import Stage


def test_approval_through_the_form_decides_once(stage: Stage) -> None:
    approval_id = stage.ask()
    stage.login()
    form = stage.decision(approval_id, decision="approve")
    page = stage.browser.get("/")
    assert form["digest"] in page.text
    assert "Approve 12.10 EUR" in page.text
    for _ in range(2):
        answer = stage.browser.post(f"/approvals/{approval_id}/decision", data=form, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
    approval = stage.read(lambda c: get_approval(c, approval_id))
    assert (approval.state, approval.decided_by, approval.door) == ("approved", "dashboard", "dashboard")
    assert stage.read(lambda c: c.execute(select(func.count()).select_from(outcomes)).scalar_one()) == 1

    form = stage.decision(approval_id, decision="reject", note="too late")
    answer = stage.browser.post(f"/approvals/{approval_id}/decision", data=form)
    assert answer.status_code == 409
    assert "already approved" in answer.text


def test_rejection_takes_a_reason_and_keeps_it(stage: Stage) -> None:
    approval_id = stage.ask()
    stage.login()
    path = f"/approvals/{approval_id}/decision"
    answer = stage.browser.post(path, data=stage.decision(approval_id, decision="reject", note=" "))
    assert answer.status_code == 422
    assert "needs a reason" in answer.text
    form = stage.decision(approval_id, decision="reject", note="Demasiado caro, ¿no?", back="approvals")
    answer = stage.browser.post(path, data=form)
    assert answer.url.path == "/approvals"
    assert "Demasiado caro, ¿no?" in answer.text
    assert stage.read(lambda c: get_approval(c, approval_id)).state is ApprovalState.REJECTED


def test_decision_about_something_else_than_what_was_shown_is_refused(stage: Stage) -> None:
    approval_id = stage.ask()
    stage.login()
    for digest in ("", "0" * 64):
        form = {"decision": "approve", "digest": digest}
        answer = stage.browser.post(f"/approvals/{approval_id}/decision", data=form)
        assert answer.status_code == 409
    assert stage.read(lambda c: get_approval(c, approval_id)).state is ApprovalState.PENDING

"""Decided requests found again, one request with its history, and the money in pictures."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sqlalchemy import Connection

from master.approvals import Policy, Voter, abandon, decide, execute, get_approval
from master.approvals.ask import revise_approval
from master.approvals.records import ApprovalType, Question
from tests.integration.web.stage import HOSTILE, Stage

ANA = Voter(identity="token:ana", name="Ana", door="test")


def settle(stage: Stage, approval_id: str, *, yes: bool = True, note: str = "", done: bool = False) -> None:
    now = datetime.now(UTC)

    def act(c: Connection) -> None:
        decide(c, approval_id, approve=yes, voter=ANA, policy=Policy(), note=note, now=now)
        if done:
            execute(c, approval_id, actual=None, voter=ANA, reference="F-77", note="", now=now)

    stage.write(act)


def listed(text: str) -> list[str]:
    return re.findall(r'<h3><a href="/approvals/([^"]+)"', text)


def test_decided_requests_are_shown_by_state_and_found_by_words(stage: Stage) -> None:
    paid, refused, waits = (stage.ask(title) for title in ("Pay the host", "A logo", "Another"))
    settle(stage, paid, done=True)
    settle(stage, refused, yes=False, note="Too dear")
    stage.login()
    text = stage.browser.get("/approvals").text
    assert set(listed(text)) == {paid, refused}
    assert f'href="/approvals/{waits}"' in text, "the pending one has a page, too"
    for tab in (
        'executed <span class="count">1',
        'rejected <span class="count">1',
        'expired <span class="count">0',
    ):
        assert tab in text, tab
    assert listed(stage.browser.get("/approvals?show=rejected").text) == [refused]
    assert listed(stage.browser.get("/approvals?text=DEAR").text) == [refused]
    assert "No request is like that." in stage.browser.get("/approvals?show=expired").text
    assert stage.browser.get("/approvals?show=maybe").status_code == 422
    assert stage.browser.get("/approvals?after=x").status_code == 422


def test_all_decided_requests_are_on_exactly_one_page(stage: Stage) -> None:
    made = {stage.ask(f"Question {number}", 0) for number in range(35)}
    for approval_id in made:
        settle(stage, approval_id)
    stage.login()
    seen: list[str] = []
    href = "/approvals?show=approved"
    while href:
        text = stage.browser.get(href).text
        seen += listed(text)
        older = re.search(r'<a href="([^"]+)">Older', text)
        href = older[1].replace("&amp;", "&") if older else ""
    assert len(seen) == 35
    assert set(seen) == made


def test_a_request_has_a_page_with_all_that_was_said_to_it(stage: Stage) -> None:
    approval_id = stage.ask(HOSTILE)
    now = datetime.now(UTC)
    changed = Question(
        type=ApprovalType.PAYMENT, title="Cheaper", reason="Less.", cost_minor=900, currency="EUR"
    )

    def change(c: Connection) -> None:
        from sqlalchemy import select

        from master.approvals.tables import approvals

        step_id = c.execute(select(approvals.c.step_id)).scalar_one()
        revise_approval(c, changed, step_id=step_id, policy=Policy(), now=now)

    stage.write(change)
    stage.login()
    pending = stage.browser.get(f"/approvals/{approval_id}").text
    assert "Approve 9.00 EUR" in pending
    assert "Revision 1" in pending
    assert "<script>alert" not in pending
    form = stage.decision(approval_id, decision="approve", back=f"approval:{approval_id}")
    answer = stage.browser.post(f"/approvals/{approval_id}/decision", data=form)
    assert answer.url.path == f"/approvals/{approval_id}"
    assert "It is done" in answer.text, "what is to be done now"
    stage.write(lambda c: execute(c, approval_id, actual=None, voter=ANA, reference="F-77", note="", now=now))
    text = stage.browser.get(f"/approvals/{approval_id}").text
    for part in ("by Ana", "F-77", "expenses:", "Asked you otherwise: <em>Cheaper</em>", "9.00 EUR"):
        assert part in text, part
    assert stage.browser.get("/approvals/none").status_code == 404


def test_an_abandoned_request_says_by_whom(stage: Stage) -> None:
    approval_id = stage.ask("Pay")
    settle(stage, approval_id)
    now = datetime.now(UTC)
    stage.write(lambda c: abandon(c, approval_id, voter=ANA, reason="no longer needed", now=now))
    stage.login()
    text = stage.browser.get(f"/approvals/{approval_id}").text
    assert "no longer needed" in text
    assert "is-abandoned" in text


def test_the_months_spending_is_drawn_where_one_decides_and_where_the_money_is(stage: Stage) -> None:
    (stage.home / "policy.toml").write_text('[[budgets]]\ncategory = ""\nmonth = "100 EUR"\n')
    approval_id = stage.ask("Pay the host", 1210)
    stage.login()
    assert 'class="spending"' not in stage.browser.get("/approvals").text
    settle(stage, approval_id, done=True)
    for path in ("/approvals", "/ledger"):
        text = stage.browser.get(path).text
        assert text.count('class="spending"') == 2, path
        assert "Paid so far: 12.10 EUR" in text
        assert "12.10 EUR spent" in text
        assert 'class="limit"' in text
        assert "style=" not in text
    assert 'class="spending"' not in stage.browser.get("/approvals?show=rejected").text


def test_entries_are_found_and_paged(stage: Stage) -> None:
    made = [stage.ask(f"Pay {number}", 100) for number in range(30)]
    for approval_id in made:
        settle(stage, approval_id, done=True)
    assert stage.read(lambda c: get_approval(c, made[0])).state == "executed"
    stage.login()
    seen: list[int] = []
    href = "/ledger"
    while href:
        text = stage.browser.get(href).text
        seen += [int(each) for each in re.findall(r'<th scope="row">(\d+)</th>', text)]
        older = re.search(r'<a href="([^"]+)">Older', text)
        href = older[1].replace("&amp;", "&") if older else ""
    assert seen == list(range(60, 0, -1))
    assert stage.browser.get("/ledger?kind=settle").text.count("F-77") == 30
    assert "No entries like that" in stage.browser.get("/ledger?text=nowhere").text
    assert stage.browser.get("/ledger?before=x").status_code == 422

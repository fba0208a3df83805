"""Who may decide what, and when the owner is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from master.approvals import Approval, ApprovalType, NotADecider, PolicyFile, Urgency, Voter
from master.approvals.decide import check_decider, may_decide
from master.approvals.policy import Policy
from master.approvals.policy_file import parse_policy
from master.approvals.timing import (
    day_begins,
    is_escalated,
    is_quiet,
    plan,
    reminders_due,
    to_do_reminders_due,
)
from tasks.errors import InvalidInput
from tests.asking import make_approval

NOW = datetime(2026, 11, 21, 15, 0, tzinfo=UTC)
WHOLE = """
time_zone = "America/Santiago"
quiet_hours = "22:00-08:00"
daily_questions = 2
[people]
ana = ["telegram:4711", "token:local-owner"]
bea = ["telegram:4712"]
[defaults]
expires = "3d"
[PAYMENT]
deciders = ["ana", "bea"]
self_approval = false
tiers = [{ above = "100.00 EUR", quorum = 2 }]
[CONTENT_APPROVAL]
deciders = ["bea"]
"""


def policy(text: str = WHOLE) -> Policy:
    return parse_policy(text, "policy.toml")


def approval(number: int = 1, **given: object) -> Approval:
    times = {"created_at": NOW, "asked_at": NOW, "expires_at": NOW + timedelta(days=7)}
    return make_approval(id=f"a{number}", **{**times, **given})


def voter(identity: str) -> Voter:
    return Voter(identity=identity, name=identity, door="test")


def test_a_person_is_the_same_through_every_door() -> None:
    assert policy().person("telegram:4711") == policy().person("token:local-owner") == "ana"
    assert policy().person("telegram:9") == "telegram:9"


@pytest.mark.parametrize(
    ("identity", "kind", "may"),
    [
        ("telegram:4712", ApprovalType.CONTENT_APPROVAL, True),
        ("telegram:4711", ApprovalType.CONTENT_APPROVAL, False),
        ("token:local-owner", ApprovalType.PAYMENT, True),
        ("token:stranger", ApprovalType.PAYMENT, False),
        ("token:stranger", ApprovalType.API_ACCOUNT, True),
    ],
)
def test_the_file_says_who_decides_what(identity: str, kind: ApprovalType, may: bool) -> None:
    assert may_decide(approval(type=kind), voter(identity), policy()) is may


def test_who_started_the_run_may_refuse_but_not_approve_where_the_file_says_so() -> None:
    own = approval(asked_for="token:local-owner")
    with pytest.raises(NotADecider, match="started run r1"):
        check_decider(own, voter("telegram:4711"), policy(), approve=True)
    check_decider(own, voter("telegram:4711"), policy(), approve=False)
    check_decider(own, voter("telegram:4712"), policy(), approve=True)


@pytest.mark.parametrize(
    ("cost_minor", "currency", "quorum"),
    [
        (10_000, "EUR", 1),
        (10_001, "EUR", 2),
        (0, "EUR", 1),
        # No tier is written in pesos: a limit is not escaped by changing the currency.
        (1, "CLP", 2),
    ],
)
def test_larger_amounts_need_more_people(cost_minor: int, currency: str, quorum: int) -> None:
    assert policy().tier(ApprovalType.PAYMENT, cost_minor, currency).quorum == quorum


def test_what_the_file_says_of_all_holds_where_a_type_says_nothing() -> None:
    assert policy().rule(ApprovalType.PAYMENT).expires == 3 * 86400
    assert policy("").rule(ApprovalType.PAYMENT).expires == 7 * 86400


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("quiet_hours = 'at night'", "22:00-08:00"),
        ("time_zone = 'Mars/Olympus'", "Europe/Madrid"),
        ("[PAYMENT]\nexpires = 7", "12h"),
        ("[PAYMENT]\nquorum = 0", "PAYMENT.quorum"),
        ("[PAYMNET]\nquorum = 1", "'PAYMNET'"),
        ("[PAYMENT]\nquorums = 1", "quorums"),
        ("[PAYMENT", "not TOML"),
        ("[PAYMENT]\ntiers = [{above = 'lots'}]", "tiers"),
    ],
)
def test_a_wrong_line_is_named_with_what_it_should_be(text: str, told: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        policy(text)
    assert "policy.toml" in str(refused.value)
    assert told in str(refused.value)


def test_the_file_is_read_again_when_it_changed_and_is_not_needed(tmp_path: Path) -> None:
    read = PolicyFile(tmp_path / "policy.toml")
    assert read() == Policy()
    read.path.write_text("daily_questions = 3\n")
    assert read().daily_questions == 3
    read.path.write_text("daily_questions = 44\n")
    assert read().daily_questions == 44
    read.path.write_text("daily_questions = 'many'\n")
    with pytest.raises(InvalidInput):
        read()


def test_quiet_hours_pass_midnight_in_the_owners_zone() -> None:
    at = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)  # 23:30 in Santiago
    assert is_quiet(policy(), at)
    assert is_quiet(policy(), at + timedelta(hours=8))
    assert not is_quiet(policy(), at + timedelta(hours=9))
    assert not is_quiet(policy(""), at)


def test_the_day_begins_at_the_owners_midnight() -> None:
    assert day_begins(policy(), NOW) == datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def test_only_the_urgent_is_told_at_night() -> None:
    night = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
    untold = [approval(1), approval(2, urgency=Urgency.HIGH), approval(3, urgency=Urgency.LOW)]
    told = plan(untold, told_today=0, digest_told_today=False, policy=policy(), now=night)
    assert told.each == ("a2",)
    assert told.digest == ()


def test_what_is_over_the_days_cap_comes_in_one_digest() -> None:
    untold = [approval(number) for number in range(5)]
    noon, evening = NOW, NOW + timedelta(hours=7)  # 12:00 and 19:00 in Santiago
    told = plan(untold, told_today=1, digest_told_today=False, policy=policy(), now=noon)
    assert (told.each, told.digest) == (("a0",), ())
    told = plan(untold[1:], told_today=2, digest_told_today=False, policy=policy(), now=evening)
    assert (told.each, told.digest) == ((), ("a1", "a2", "a3", "a4"))
    again = plan(untold[1:], told_today=2, digest_told_today=True, policy=policy(), now=evening)
    assert (again.each, again.digest) == ((), ())


def test_reminders_come_when_they_are_due_and_begin_anew_with_a_revision() -> None:
    rule = Policy().rule(ApprovalType.PAYMENT)
    waits = approval()
    assert [reminders_due(rule, waits, NOW + timedelta(hours=h)) for h in (0, 24, 71, 72)] == [0, 1, 1, 2]
    revised = approval(asked_at=NOW + timedelta(hours=71))
    assert reminders_due(rule, revised, NOW + timedelta(hours=72)) == 0


def test_the_owner_is_reminded_of_what_is_approved_and_not_done() -> None:
    rule = Policy().rule(ApprovalType.PAYMENT)
    to_do = approval(state="approved", decided_at=NOW, execute_by=NOW + timedelta(days=30))
    assert to_do_reminders_due(rule, to_do, NOW + timedelta(days=1)) == 1
    assert to_do_reminders_due(rule, approval(state="approved", decided_at=NOW), NOW + timedelta(days=9)) == 0


def test_somebody_else_is_told_only_where_the_file_names_somebody() -> None:
    named = policy("[PAYMENT]\nescalate_after = '2h'\nescalate_to = [4712]").rule(ApprovalType.PAYMENT)
    assert not is_escalated(named, approval(), NOW + timedelta(hours=1))
    assert is_escalated(named, approval(), NOW + timedelta(hours=2))
    assert not is_escalated(Policy().rule(ApprovalType.PAYMENT), approval(), NOW + timedelta(days=30))

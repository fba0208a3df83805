"""When to tell the owner: one by one, in the digest, again, and somebody else. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from master.approvals.policy import Policy, Rule
from master.approvals.records import Approval, Urgency
from tasks.record import Record


class Plan(Record):
    """What to tell a person now: ids of requests."""

    each: tuple[str, ...] = ()
    #: In one message.
    digest: tuple[str, ...] = ()


def is_quiet(policy: Policy, now: datetime) -> bool:
    """Whether the owner is not to be disturbed."""
    return policy.quiet_hours is not None and policy.quiet_hours.holds(policy.local(now).time())


def plan(
    untold: Sequence[Approval], *, told_today: int, digest_told_today: bool, policy: Policy, now: datetime
) -> Plan:
    """Which of the requests that a person was not told of are told now, and how.

    Urgent ones always; the others outside of the quiet hours, up to the day's cap. What is over the
    cap or of low urgency comes in the day's digest, or tomorrow.
    """
    urgent = [each.id for each in untold if each.urgency is Urgency.HIGH]
    if is_quiet(policy, now):
        return Plan(each=tuple(urgent))
    normal = [each.id for each in untold if each.urgency is Urgency.NORMAL]
    room = max(0, policy.daily_questions - told_today - len(urgent))
    rest = [each.id for each in untold if each.id not in {*urgent, *normal[:room]}]
    due = not digest_told_today and policy.local(now).time() >= policy.digest_at
    return Plan(each=(*urgent, *normal[:room]), digest=tuple(rest) if due else ())


def day_begins(policy: Policy, now: datetime) -> datetime:
    """Midnight of the owner's day, as an instant."""
    return policy.local(now).replace(hour=0, minute=0, second=0, microsecond=0)


def reminders_due(rule: Rule, approval: Approval, now: datetime) -> int:
    """How many reminders should have been sent of what still waits for an answer."""
    return sum(approval.asked_at + timedelta(seconds=after) <= now for after in rule.remind_after)


def to_do_reminders_due(rule: Rule, approval: Approval, now: datetime) -> int:
    """The same of what is approved and waits for being done."""
    if approval.decided_at is None or not approval.awaits_execution:
        return 0
    return sum(approval.decided_at + timedelta(seconds=after) <= now for after in rule.remind_after)


def is_escalated(rule: Rule, approval: Approval, now: datetime) -> bool:
    """Whether somebody else should be told."""
    return bool(rule.escalate_to) and approval.asked_at + timedelta(seconds=rule.escalate_after) <= now

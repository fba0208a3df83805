"""Exactly one decision per request, whoever answers, by whatever door, however many at once."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from master.approvals.answer import Settlement, settle, standing
from master.approvals.policy import Policy
from master.approvals.records import Approval, ApprovalState, Voter
from master.approvals.store import get_approval
from master.approvals.tables import approval_votes, approvals
from master.events import record_event
from tasks.errors import InvalidInput, Refused


class Superseded(Refused):
    """The request was changed since the person looked at it."""


class NotADecider(Refused):
    """The policy does not let this person decide this."""


def decide(
    connection: Connection,
    approval_id: str,
    *,
    approve: bool,
    voter: Voter,
    policy: Policy,
    note: str,
    now: datetime,
    digest: str | None = None,
    revision: int | None = None,
) -> Approval:
    """Say yes or no to a pending request; returns it as it stands then.

    The same answer by the same person again changes nothing. Where the policy asks for several, a yes
    is one of them. ``NotFound``: no such request. ``Superseded``: ``digest`` or ``revision`` is not what
    is asked now. ``NotADecider``, ``BudgetExceeded``, ``Refused`` (decided otherwise, expired): nothing
    has happened. ``InvalidInput``: a rejection without a reason.
    """
    wanted = ApprovalState.APPROVED if approve else ApprovalState.REJECTED
    approval = get_approval(connection, approval_id)
    if not approve and not note.strip():
        raise InvalidInput(f"a rejection needs a reason: 'd8 approval reject {approval.id} \"why\"'")
    if (digest is not None and digest != approval.digest) or (
        revision is not None and revision != approval.revision
    ):
        raise Superseded(f"request {approval.id} was superseded: look at it again before you decide")
    if approval.state is wanted and approval.decided_by == voter.name:
        return approval
    if approval.state is not ApprovalState.PENDING:
        raise Refused(standing(approval))
    if approval.expires_at <= now:
        raise Refused(f"request {approval.id} expired at {approval.expires_at:%Y-%m-%d %H:%M} UTC")
    check_decider(approval, voter, policy, approve=approve)
    # Of a yes that the budget refuses, no vote stays behind either.
    with connection.begin_nested():
        if approve and approval.quorum > 1 and not _enough(connection, approval, voter, policy, note, now):
            return get_approval(connection, approval.id)
        how = Settlement(state=wanted, voter=voter, note=note)
        if not settle(connection, approval, how, policy=policy, now=now):
            raise Refused(standing(get_approval(connection, approval.id)))
    return get_approval(connection, approval.id)


def check_decider(approval: Approval, voter: Voter, policy: Policy, *, approve: bool) -> None:
    """``NotADecider`` unless the policy lets this person say this."""
    rule = policy.rule(approval.type)
    deciders = policy.tier(approval.type, approval.cost_minor, approval.currency).deciders
    person = policy.person(voter.identity)
    if deciders and person not in deciders and voter.identity not in deciders:
        raise NotADecider(
            f"{voter.name} may not decide request {approval.id}: policy.toml lets {', '.join(deciders)} "
            f"decide a {approval.type} of this size"
        )
    own = bool(approval.asked_for) and policy.person(approval.asked_for) == person
    if approve and own and not rule.self_approval:
        raise NotADecider(
            f"{voter.name} started run {approval.run_id} and so may not approve what it asks: policy.toml "
            f"says self_approval = false for {approval.type}; somebody else must"
        )


def may_decide(approval: Approval, voter: Voter, policy: Policy) -> bool:
    """Whether a yes of this person would count."""
    try:
        check_decider(approval, voter, policy, approve=True)
    except NotADecider:
        return False
    return True


def _enough(
    connection: Connection, approval: Approval, voter: Voter, policy: Policy, note: str, now: datetime
) -> bool:
    """Note this person's yes; whether there are as many as the request needs."""
    # Changes nothing and takes the row's lock: of two last voters, the second sees the first one's vote.
    locked = connection.execute(
        update(approvals)
        .where(
            approvals.c.id == approval.id,
            approvals.c.state == ApprovalState.PENDING,
            approvals.c.revision == approval.revision,
        )
        .values(revision=approval.revision)
    )
    if locked.rowcount == 0:
        raise Refused(standing(get_approval(connection, approval.id)))
    of_revision = (approval_votes.c.approval_id == approval.id) & (
        approval_votes.c.revision == approval.revision
    )
    person = policy.person(voter.identity)
    people = set(connection.execute(select(approval_votes.c.person).where(of_revision)).scalars())
    if person not in people:
        connection.execute(
            insert(approval_votes).values(
                approval_id=approval.id,
                revision=approval.revision,
                person=person,
                by=voter.name,
                door=voter.door,
                at=now,
                note=note,
            )
        )
        people.add(person)
        record_event(
            connection,
            "approval_voted",
            now,
            run_id=approval.run_id,
            approval=approval.id,
            by=voter.name,
            door=voter.door,
            yes=len(people),
            quorum=approval.quorum,
        )
    return len(people) >= approval.quorum


def record_refusal(
    connection: Connection, approval_id: str, voter: Voter, why: str, *, now: datetime
) -> None:
    """Keep a trace of an answer that was not accepted; in a transaction of its own, since the
    refused one was undone."""
    record_event(
        connection,
        "approval_refused",
        now,
        approval=approval_id[:40],
        by=voter.name,
        identity=voter.identity,
        door=voter.door,
        why=why[:500],
    )

"""How a request comes to be: asked, joined, changed, replaced, or let pass by a budget.

Flows ask through their context; nobody else does.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from master.approvals.answer import Settlement, answer_steps, settle
from master.approvals.policy import Policy, expiry
from master.approvals.records import BUDGET, Approval, ApprovalState, ApprovalType, Decision, Question
from master.approvals.store import get_approval, unused_id
from master.approvals.tables import approval_revisions, approval_steps, approval_votes, approvals
from master.events import record_event
from master.ledger import BudgetExceeded, Money, project_of
from master.store.tables import runs, steps


def create_approval(
    connection: Connection,
    question: Question,
    *,
    run_id: str,
    step_id: int,
    step_key: str,
    policy: Policy,
    now: datetime,
) -> str:
    """Ask for this waiting step; returns the request's id.

    A need that is being asked about already is joined, if what is asked is the same, or replaced by
    this newer question. One that was rejected a short while ago gets the same no.
    """
    if question.need:
        known = _same_need(connection, question, policy, now)
        if known is not None:
            _wait(connection, known.id, run_id, step_id, question)
            record_event(
                connection, "approval_joined", now, run_id=run_id, step_id=step_id, approval=known.id
            )
            if known.state is not ApprovalState.PENDING:
                answer_steps(connection, known.id, decision_of(known), now=now)
            return known.id
    approval_id = unused_id(connection)
    replaced = _replace(connection, question, approval_id, now) if question.need else ""
    run = connection.execute(select(runs).where(runs.c.id == run_id)).one()
    connection.execute(
        insert(approvals).values(
            id=approval_id,
            step_id=step_id,
            run_id=run_id,
            step_key=step_key,
            state=ApprovalState.PENDING,
            revision=1,
            created_at=now,
            asked_for=run.started_by,
            **_asked(question, run, policy, now),
        )
    )
    _wait(connection, approval_id, run_id, step_id, question)
    if replaced:
        connection.execute(
            update(approval_steps)
            .where(approval_steps.c.approval_id == replaced)
            .values(approval_id=approval_id)
        )
    _tell(connection, "approval_requested", approval_id, question, run_id, step_id, now)
    _let_pass(connection, get_approval(connection, approval_id), policy, now)
    return approval_id


def revise_approval(
    connection: Connection, question: Question, *, step_id: int, policy: Policy, now: datetime
) -> None:
    """The flow asks for something else than it did: a new revision, to which no earlier yes applies.

    Nothing happens when the request has been decided meanwhile: the flow sees that in its next pass.
    """
    row = connection.execute(
        select(approvals)
        .join(approval_steps, approval_steps.c.approval_id == approvals.c.id)
        .where(approval_steps.c.step_id == step_id)
    ).first()
    if row is None or row.state != ApprovalState.PENDING or row.digest == question.digest():
        return
    run = connection.execute(select(runs).where(runs.c.id == row.run_id)).one()
    changed = connection.execute(
        update(approvals)
        .where(
            approvals.c.id == row.id,
            approvals.c.state == ApprovalState.PENDING,
            approvals.c.revision == row.revision,
        )
        .values(revision=row.revision + 1, **_asked(question, run, policy, now))
    )
    if changed.rowcount == 0:
        return
    _keep_revision(connection, row, now)
    connection.execute(
        update(steps)
        .where(steps.c.id == step_id)
        .values(request=question.model_dump_json(), request_digest=question.digest())
    )
    connection.execute(delete(approval_votes).where(approval_votes.c.approval_id == row.id))
    _tell(connection, "approval_revised", row.id, question, row.run_id, step_id, now)
    _let_pass(connection, get_approval(connection, row.id), policy, now)


def decision_of(approval: Approval) -> Decision:
    """The answer as flows see it."""
    return Decision(
        id=approval.id,
        state=approval.state,
        by=approval.executed_by or approval.decided_by,
        note=approval.note,
        actual_minor=approval.actual_minor,
        currency=approval.currency,
        reference=approval.reference,
    )


def _asked(question: Question, run: Row[Any], policy: Policy, now: datetime) -> dict[str, Any]:
    """The columns that a revision sets."""
    values = question.model_dump(mode="json", exclude={"expires_s"})
    return {
        **values,
        "project": question.project or project_of(run.flow, run.params),
        "digest": question.digest(),
        "asked_at": now,
        "expires_at": expiry(policy, question.type, question.expires_s, now),
        "quorum": policy.tier(question.type, question.cost_minor, question.currency).quorum,
    }


def _same_need(connection: Connection, question: Question, policy: Policy, now: datetime) -> Approval | None:
    """The request that this question need not be asked beside."""
    since = now - timedelta(seconds=policy.rule(question.type).ask_again_after)
    same = (approvals.c.need == question.need) & (approvals.c.digest == question.digest())
    waits = approvals.c.state == ApprovalState.PENDING
    refused = (approvals.c.state == ApprovalState.REJECTED) & (approvals.c.decided_at > since)
    found = connection.execute(
        select(approvals.c.id).where(same, waits | refused).order_by(approvals.c.asked_at.desc())
    ).scalar()
    return None if found is None else get_approval(connection, found)


def _replace(connection: Connection, question: Question, by: str, now: datetime) -> str:
    """Close the open request about the same need; returns its id, or ""."""
    replaced = connection.execute(
        update(approvals)
        .where(approvals.c.need == question.need, approvals.c.state == ApprovalState.PENDING)
        .values(
            state=ApprovalState.SUPERSEDED,
            decided_at=now,
            decided_by="d8",
            door="clock",
            replaced_by=by,
            note=f"replaced by {by}",
        )
        .returning(approvals.c.id)
    ).scalar()
    if replaced is None:
        return ""
    record_event(connection, "approval_superseded", now, approval=replaced, replaced_by=by)
    return str(replaced)


def _wait(connection: Connection, approval_id: str, run_id: str, step_id: int, question: Question) -> None:
    connection.execute(
        insert(approval_steps).values(
            approval_id=approval_id, run_id=run_id, step_id=step_id, until=question.until
        )
    )


def _keep_revision(connection: Connection, row: Row[Any], now: datetime) -> None:
    fields = row._asdict()
    question = {name: fields[name] for name in Question.model_fields if name in fields}
    connection.execute(
        insert(approval_revisions).values(
            approval_id=row.id,
            revision=row.revision,
            question=question,
            digest=row.digest,
            asked_at=row.asked_at,
            superseded_at=now,
        )
    )


def _let_pass(connection: Connection, approval: Approval, policy: Policy, now: datetime) -> None:
    """Approve a small payment for which the owner left a budget line, while there is money in it."""
    cost = Money(minor=approval.cost_minor, currency=approval.currency)
    if approval.type is not ApprovalType.PAYMENT or not policy.automatic(approval.category, cost):
        return
    settlement = Settlement(
        state=ApprovalState.APPROVED,
        voter=BUDGET,
        note=f"within the budget line for {approval.category}",
    )
    try:
        settle(connection, approval, settlement, policy=policy, now=now)
    except BudgetExceeded:
        # Nothing was approved: the owner is asked.
        return


def _tell(
    connection: Connection,
    name: str,
    approval_id: str,
    question: Question,
    run_id: str,
    step_id: int,
    now: datetime,
) -> None:
    record_event(
        connection,
        name,
        now,
        run_id=run_id,
        step_id=step_id,
        approval=approval_id,
        type=str(question.type),
        title=question.title,
        cost_minor=question.cost_minor,
        currency=question.currency,
    )

"""What ends without an answer: time, and the end of the run that asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, select, update

from master.approvals.answer import Settlement, settle
from master.approvals.execute import abandon
from master.approvals.policy import Policy
from master.approvals.records import CLOCK, Approval, ApprovalState
from master.approvals.store import get_approval
from master.approvals.tables import approval_steps, approvals
from tasks.errors import Refused


def expire_approvals(connection: Connection, *, policy: Policy, now: datetime) -> int:
    """Deny what nobody answered in time, and abandon what nobody did. Returns how many."""
    late = connection.execute(
        select(approvals.c.id).where(
            approvals.c.state == ApprovalState.PENDING, approvals.c.expires_at <= now
        )
    )
    silence = Settlement(state=ApprovalState.EXPIRED, voter=CLOCK, note="nobody answered in time")
    expired = sum(
        settle(connection, get_approval(connection, approval_id), silence, policy=policy, now=now)
        for approval_id in late.scalars().all()
    )
    undone = connection.execute(
        select(approvals.c.id).where(
            approvals.c.state == ApprovalState.APPROVED,
            approvals.c.execute_by.is_not(None),
            approvals.c.execute_by <= now,
        )
    )
    return expired + sum(_give_up(connection, approval_id, now) for approval_id in undone.scalars().all())


def _give_up(connection: Connection, approval_id: str, now: datetime) -> bool:
    try:
        abandon(connection, approval_id, voter=CLOCK, reason="it was not done in time", now=now)
    except Refused:
        # It was done in this very moment.
        return False
    return True


def cancel_approvals(connection: Connection, run_id: str, *, now: datetime) -> None:
    """The run that asked is over: its open questions are, too, unless others wait for them. Its steps
    are the caller's. What was approved and is to be done stays: it may have been paid already."""
    asked = connection.execute(
        select(approval_steps.c.approval_id).distinct().where(approval_steps.c.run_id == run_id)
    )
    for approval_id in asked.scalars().all():
        approval = get_approval(connection, approval_id)
        if approval.state is ApprovalState.PENDING:
            theirs = approval_steps.c.run_id == run_id
            _withdraw(connection, approval, theirs, run_id, "its run was cancelled", now)


def withdraw_questions(
    connection: Connection, run_id: str, step_ids: Sequence[int], *, note: str, now: datetime
) -> int:
    """The run does not want these of its steps answered any more; who else waits for an answer still gets it.
    Returns how many questions that were open."""
    asked = connection.execute(
        select(approval_steps.c.approval_id)
        .join(approvals, approvals.c.id == approval_steps.c.approval_id)
        .where(approval_steps.c.step_id.in_(step_ids), approvals.c.state == ApprovalState.PENDING)
    )
    found = asked.scalars().all()
    for approval_id in found:
        theirs = approval_steps.c.step_id.in_(step_ids)
        _withdraw(connection, get_approval(connection, approval_id), theirs, run_id, note, now)
    return len(found)


def _withdraw(
    connection: Connection,
    approval: Approval,
    theirs: ColumnElement[bool],
    run_id: str,
    note: str,
    now: datetime,
) -> None:
    """``theirs`` of the steps that wait for a pending request do so no more."""
    waiting = approval_steps.c.approval_id == approval.id
    connection.execute(delete(approval_steps).where(waiting, theirs))
    other = connection.execute(select(approval_steps.c.run_id).where(waiting)).scalar()
    if other is None:
        connection.execute(
            update(approvals)
            .where(approvals.c.id == approval.id, approvals.c.state == ApprovalState.PENDING)
            .values(
                state=ApprovalState.CANCELLED,
                decided_at=now,
                decided_by=CLOCK.name,
                door=CLOCK.door,
                note=note,
            )
        )
    elif approval.run_id == run_id:
        connection.execute(update(approvals).where(approvals.c.id == approval.id).values(run_id=other))

"""What ends without an answer: time, and the end of the run that asked."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from master.approvals.answer import Settlement, settle
from master.approvals.execute import abandon
from master.approvals.policy import Policy
from master.approvals.records import CLOCK, ApprovalState
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
        if approval.state is not ApprovalState.PENDING:
            continue
        connection.execute(
            delete(approval_steps).where(
                approval_steps.c.approval_id == approval_id, approval_steps.c.run_id == run_id
            )
        )
        other = connection.execute(
            select(approval_steps.c.run_id).where(approval_steps.c.approval_id == approval_id)
        ).scalar()
        if other is None:
            connection.execute(
                update(approvals)
                .where(approvals.c.id == approval_id, approvals.c.state == ApprovalState.PENDING)
                .values(
                    state=ApprovalState.CANCELLED,
                    decided_at=now,
                    decided_by=CLOCK.name,
                    door=CLOCK.door,
                    note="its run was cancelled",
                )
            )
        elif approval.run_id == run_id:
            connection.execute(update(approvals).where(approvals.c.id == approval_id).values(run_id=other))

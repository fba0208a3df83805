"""Exactly one decision per request: one conditional update decides, and the same transaction
answers the step and wakes the run."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import Connection, select, update

from master.approvals.records import Approval, ApprovalState, Decision
from master.approvals.store import get_approval
from master.approvals.tables import approvals
from master.dispatch.finish import record_outcome
from master.dispatch.states import StepState
from master.dispatch.wake import wake_run
from master.events import record_event
from master.store.tables import steps
from tasks.errors import InvalidInput, Refused


def decide(
    connection: Connection,
    approval_id: str,
    *,
    approve: bool,
    by: str,
    door: str,
    note: str,
    now: datetime,
    digest: str | None = None,
) -> Approval:
    """Approve or reject a pending request.

    The same decision by the same person again returns the request unchanged. ``NotFound``: no such
    request. ``Refused``: it was decided otherwise, has expired, or ``digest`` is not what is asked
    now. ``InvalidInput``: a rejection without a reason.
    """
    wanted = ApprovalState.APPROVED if approve else ApprovalState.REJECTED
    approval = get_approval(connection, approval_id)
    if not approve and not note.strip():
        raise InvalidInput(f"a rejection needs a reason: 'd8 approval reject {approval.id} \"why\"'")
    if digest is not None and digest != approval.digest:
        raise Refused(f"request {approval.id} was superseded: look at it again before you decide")
    if approval.state is wanted and approval.decided_by == by:
        return approval
    if approval.state is ApprovalState.PENDING and approval.expires_at <= now:
        raise Refused(f"request {approval.id} expired at {approval.expires_at:%Y-%m-%d %H:%M} UTC")
    if not _settle(connection, approval, wanted, by=by, door=door, note=note, now=now):
        current = get_approval(connection, approval.id)
        raise Refused(
            f"request {current.id} is already {current.state}"
            + (
                f" by {current.decided_by} at {current.decided_at:%Y-%m-%d %H:%M} UTC"
                if current.decided_at
                else ""
            )
        )
    return get_approval(connection, approval.id)


def expire_approvals(connection: Connection, *, now: datetime) -> int:
    """Deny what nobody answered in time. Returns how many."""
    late = connection.execute(
        select(approvals.c.id).where(
            approvals.c.state == ApprovalState.PENDING, approvals.c.expires_at <= now
        )
    ).scalars()
    return sum(
        _settle(
            connection,
            get_approval(connection, approval_id),
            ApprovalState.EXPIRED,
            by="d8",
            door="clock",
            note="nobody answered in time",
            now=now,
        )
        for approval_id in late.all()
    )


def cancel_approvals(connection: Connection, run_id: str, *, now: datetime) -> None:
    """The run that asked is over: its open questions are, too. Its steps are the caller's."""
    connection.execute(
        update(approvals)
        .where(approvals.c.run_id == run_id, approvals.c.state == ApprovalState.PENDING)
        .values(state=ApprovalState.CANCELLED, decided_at=now, decided_by="d8", note="its run was cancelled")
    )


def _settle(
    connection: Connection,
    approval: Approval,
    state: ApprovalState,
    *,
    by: str,
    door: str,
    note: str,
    now: datetime,
) -> bool:
    decided = connection.execute(
        update(approvals)
        .where(approvals.c.id == approval.id, approvals.c.state == ApprovalState.PENDING)
        .values(state=state, decided_at=now, decided_by=by, door=door, note=note)
        .returning(approvals.c.step_id)
    ).first()
    if decided is None:
        return False
    decision = Decision(id=approval.id, state=state, by=by, note=note)
    connection.execute(
        update(steps)
        .where(steps.c.id == decided.step_id, steps.c.state == StepState.WAITING)
        .values(state=StepState.DONE, result=json.dumps(decision.model_dump(mode="json")), finished_at=now)
    )
    record_outcome(connection, decided.step_id, approval.run_id, 1, StepState.DONE, now)
    record_event(
        connection,
        "approval_decided",
        now,
        run_id=approval.run_id,
        step_id=decided.step_id,
        approval=approval.id,
        state=str(state),
        by=by,
        door=door,
    )
    wake_run(connection, approval.run_id, now)
    return True

"""What an answer does: one conditional update, and in the same transaction the money and the runs that wait."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from master.approvals.policy import Policy
from master.approvals.records import MOVES, Approval, ApprovalState, Decision, Voter
from master.approvals.tables import approval_steps, approvals
from master.dispatch.finish import record_outcome
from master.dispatch.states import StepState
from master.dispatch.wake import wake_run
from master.events import record_event
from master.ledger import Money, reserve
from master.store.tables import steps
from tasks.errors import MoveNotAllowed
from tasks.record import Record


class Settlement(Record):
    """How a pending request ends."""

    state: ApprovalState
    voter: Voter
    note: str


def settle(
    connection: Connection, approval: Approval, how: Settlement, *, policy: Policy, now: datetime
) -> bool:
    """End a pending request at the revision that ``approval`` shows. False when somebody was faster.

    An approval reserves its cost; ``BudgetExceeded`` when there is no room, and then nothing has happened:
    the caller may go on in the same transaction.
    """
    if approval.state is not ApprovalState.PENDING:
        return False
    check_move(approval, how.state)
    with connection.begin_nested():
        return _settle(connection, approval, how, policy, now)


def _settle(
    connection: Connection, approval: Approval, how: Settlement, policy: Policy, now: datetime
) -> bool:
    approved = how.state is ApprovalState.APPROVED
    to_do = approved and (approval.cost_minor > 0 or approval.until == "executed")
    within = timedelta(seconds=policy.rule(approval.type).execute_within)
    settled = connection.execute(
        update(approvals)
        .where(
            approvals.c.id == approval.id,
            approvals.c.state == ApprovalState.PENDING,
            approvals.c.revision == approval.revision,
        )
        .values(
            state=how.state,
            decided_at=now,
            decided_by=how.voter.name,
            door=how.voter.door,
            note=how.note,
            execute_by=now + within if to_do else None,
        )
    )
    if settled.rowcount == 0:
        return False
    if approved and approval.cost_minor:
        reserve(
            connection,
            approval_id=approval.id,
            run_id=approval.run_id,
            project=approval.project,
            category=approval.category,
            amount=Money(minor=approval.cost_minor, currency=approval.currency),
            month=policy.month(now),
            budgets=policy.budgets,
            note=approval.title,
            now=now,
        )
    decision = Decision(
        id=approval.id, state=how.state, by=how.voter.name, note=how.note, currency=approval.currency
    )
    answer_steps(connection, approval.id, decision, now=now)
    record_event(
        connection,
        "approval_decided",
        now,
        run_id=approval.run_id,
        approval=approval.id,
        revision=approval.revision,
        state=str(how.state),
        by=how.voter.name,
        door=how.voter.door,
    )
    return True


def answer_steps(connection: Connection, approval_id: str, decision: Decision, *, now: datetime) -> None:
    """The steps that wait for this get their answer, and their runs the next pass.

    A yes does not answer those that wait until it is done.
    """
    waiting = select(approval_steps.c.step_id).where(approval_steps.c.approval_id == approval_id)
    if decision.state is ApprovalState.APPROVED:
        waiting = waiting.where(approval_steps.c.until == "decided")
    answered = connection.execute(
        update(steps)
        .where(steps.c.id.in_(waiting), steps.c.state == StepState.WAITING)
        .values(state=StepState.DONE, result=json.dumps(decision.model_dump(mode="json")), finished_at=now)
        .returning(steps.c.id, steps.c.run_id)
    ).all()
    for step in answered:
        record_outcome(connection, step.id, step.run_id, 1, StepState.DONE, now)
        wake_run(connection, step.run_id, now)


def check_move(approval: Approval, state: ApprovalState) -> None:
    """``MoveNotAllowed`` unless a request may go from where it is to there."""
    if state not in MOVES.get(approval.state, ()):
        raise MoveNotAllowed(
            f"request {approval.id} cannot go from {approval.state} to {state}: {standing(approval)}"
        )


def standing(approval: Approval) -> str:
    """How a request stands, for a refusal."""
    done = approval.executed_at is not None
    by, at = (
        (approval.executed_by, approval.executed_at) if done else (approval.decided_by, approval.decided_at)
    )
    told = f"request {approval.id} is {'already ' if by else ''}{approval.state}"
    return told + (f" by {by} at {at:%Y-%m-%d %H:%M} UTC" if at is not None else "")

"""After a yes: the human did it, at which cost; or it will not be done."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, update

from master.approvals.answer import answer_steps, check_move, standing
from master.approvals.ask import decision_of
from master.approvals.records import Approval, ApprovalState, Voter
from master.approvals.store import get_approval
from master.approvals.tables import approvals
from master.events import record_event
from master.ledger import Money, release
from master.ledger import settle as settle_reservation
from tasks.errors import InvalidInput, Refused


def execute(
    connection: Connection,
    approval_id: str,
    *,
    actual: Money | None,
    voter: Voter,
    reference: str,
    note: str,
    now: datetime,
) -> Approval:
    """Record that an approved request was done, for ``actual`` (None: exactly what was approved).

    The expense is posted and what it cost less is free again. The same again changes nothing.
    ``Refused``: it is not approved, or it cost more than was approved. ``InvalidInput``: another currency.
    """
    approval = get_approval(connection, approval_id)
    cost = actual or Money(minor=approval.cost_minor, currency=approval.currency)
    if approval.state is ApprovalState.EXECUTED and (approval.actual_minor, approval.reference) == (
        cost.minor,
        reference,
    ):
        return approval
    _check_cost(approval, cost)
    check_move(approval, ApprovalState.EXECUTED)
    values = {"actual_minor": cost.minor, "reference": reference}
    with connection.begin_nested():
        _move(connection, approval, ApprovalState.EXECUTED, voter, note, now, **values)
        if approval.cost_minor:
            settle_reservation(
                connection, approval.id, actual=cost, reference=reference, note=note, by=voter.name, now=now
            )
    return _answered(connection, approval.id, now)


def abandon(
    connection: Connection, approval_id: str, *, voter: Voter, reason: str, now: datetime
) -> Approval:
    """An approved request will not be done: its money is free again, and who waits for it is told."""
    approval = get_approval(connection, approval_id)
    if approval.state is ApprovalState.ABANDONED:
        return approval
    check_move(approval, ApprovalState.ABANDONED)
    _move(connection, approval, ApprovalState.ABANDONED, voter, reason, now)
    release(connection, approval.id, reason=reason or "abandoned", now=now)
    return _answered(connection, approval.id, now)


def _check_cost(approval: Approval, cost: Money) -> None:
    if cost.currency != approval.currency:
        raise InvalidInput(
            f"request {approval.id} was approved in {approval.currency}, not in {cost.currency}: give what it "
            f"cost in {approval.currency}"
        )
    if not 0 <= cost.minor <= approval.cost_minor:
        from master.ledger.money import format_money

        approved = format_money(approval.cost_minor, approval.currency)
        raise Refused(
            f"request {approval.id} was approved up to {approved} and not for "
            f"{format_money(cost.minor, cost.currency)}: record {approved} here, and the rest with "
            f"'d8 ledger record expense' if it was paid"
        )


def _move(
    connection: Connection,
    approval: Approval,
    state: ApprovalState,
    voter: Voter,
    note: str,
    now: datetime,
    **values: Any,
) -> None:
    moved = connection.execute(
        update(approvals)
        .where(approvals.c.id == approval.id, approvals.c.state == ApprovalState.APPROVED)
        .values(
            state=state,
            executed_at=now,
            executed_by=voter.name,
            note=note or approval.note,
            **values,
        )
    )
    if moved.rowcount == 0:
        raise Refused(standing(get_approval(connection, approval.id)))
    record_event(
        connection,
        f"approval_{state}",
        now,
        run_id=approval.run_id,
        approval=approval.id,
        by=voter.name,
        door=voter.door,
        **values,
    )


def _answered(connection: Connection, approval_id: str, now: datetime) -> Approval:
    approval = get_approval(connection, approval_id)
    answer_steps(connection, approval.id, decision_of(approval), now=now)
    return approval

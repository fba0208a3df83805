"""Approval requests in the database."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from master.approvals.records import Approval, ApprovalState, Question
from master.approvals.tables import approvals
from master.events import record_event
from tasks.errors import NotFound

#: No vowels and no look-alikes: an id is typed on a phone.
_ALPHABET = "bcdfghjkmnpqrstvwxz23456789"


def create_approval(
    connection: Connection, question: Question, *, run_id: str, step_id: int, step_key: str, now: datetime
) -> str:
    """Insert a pending request for this step; returns its id."""
    approval_id = _unused_id(connection)
    connection.execute(
        insert(approvals).values(
            id=approval_id,
            step_id=step_id,
            run_id=run_id,
            step_key=step_key,
            state=ApprovalState.PENDING,
            revision=1,
            digest=question.digest(),
            created_at=now,
            expires_at=now + timedelta(seconds=question.expires_s),
            **question.model_dump(exclude={"expires_s"}),
        )
    )
    record_event(
        connection,
        "approval_requested",
        now,
        run_id=run_id,
        step_id=step_id,
        approval=approval_id,
        type=str(question.type),
        title=question.title,
        cost_minor=question.cost_minor,
        currency=question.currency,
    )
    return approval_id


def get_approval(connection: Connection, approval_id: str) -> Approval:
    """The request of this id; ``NotFound`` says how to list the pending ones."""
    row = connection.execute(select(approvals).where(approvals.c.id == approval_id.strip().lower())).first()
    if row is None:
        raise NotFound(
            f"there is no approval request {approval_id!r}: 'd8 approval list' shows the pending ones"
        )
    return to_approval(row)


def list_approvals(connection: Connection, state: ApprovalState | None = None) -> list[Approval]:
    """Requests in the order in which they were made, of one state or of all."""
    query = select(approvals).order_by(approvals.c.created_at, approvals.c.id)
    if state is not None:
        query = query.where(approvals.c.state == state)
    return [to_approval(row) for row in connection.execute(query)]


def to_approval(row: Row[Any]) -> Approval:
    fields = row._asdict()
    del fields["step_id"]
    return Approval.model_validate(fields)


def _unused_id(connection: Connection) -> str:
    while True:
        candidate = "".join(secrets.choice(_ALPHABET) for _ in range(5))
        if connection.execute(select(approvals.c.id).where(approvals.c.id == candidate)).first() is None:
            return candidate

"""Approval requests for tests and benches: a record as it stands, and a real one that a run waits for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert

from master.approvals import Approval, ApprovalState, ApprovalType, Policy, Question, create_approval
from master.dispatch.states import RunState, StepKind, StepState
from master.store.tables import runs, steps

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def make_approval(**given: Any) -> Approval:
    """A payment that waits, but for what is ``given``; asked at ``NOW``."""
    values: dict[str, Any] = {
        "id": "a7k2",
        "type": ApprovalType.PAYMENT,
        "state": ApprovalState.PENDING,
        "title": "Domain tapas.es",
        "reason": "The niche needs it",
        "tried": "",
        "cost_minor": 1250,
        "currency": "EUR",
        "category": "domains",
        "project": "niche",
        "expected": None,
        "payload": {},
        "evidence": {},
        "urgency": "normal",
        "need": "",
        "until": "decided",
        "asked_for": "",
        "asked_at": NOW,
        "quorum": 1,
        "execute_by": None,
        "executed_at": None,
        "executed_by": "",
        "actual_minor": None,
        "reference": "",
        "replaced_by": "",
        "run_id": "r1",
        "step_key": "buy",
        "revision": 1,
        "digest": "d" * 64,
        "created_at": NOW,
        "expires_at": NOW + timedelta(days=7),
        "decided_at": None,
        "decided_by": "",
        "door": "",
        "note": "",
    }
    return Approval.model_validate({**values, **given})


def put_request(
    connection: Connection,
    question: Question,
    *,
    run_id: str,
    key: str,
    now: datetime,
    policy: Policy | None = None,
    awaited: bool = False,
) -> str:
    """A run whose last pass asked this and waits for it; returns the request's id."""
    connection.execute(
        insert(runs).values(
            id=run_id, flow="niche", params={}, state=RunState.WAITING, woken_at=now, created_at=now, seen=1
        )
    )
    step_id = connection.execute(
        insert(steps)
        .values(
            run_id=run_id,
            key=key,
            kind=StepKind.APPROVAL,
            task="approval",
            state=StepState.WAITING,
            awaited=awaited,
            created_at=now,
        )
        .returning(steps.c.id)
    ).scalar_one()
    return create_approval(
        connection,
        question,
        run_id=run_id,
        step_id=step_id,
        step_key=key,
        policy=policy or Policy(),
        now=now,
    )

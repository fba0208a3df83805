"""What happened, as the database has it: anything decided or posted twice, anything lost."""

from __future__ import annotations

import sys
from collections import Counter

from sqlalchemy import Connection, func, select

from master.approvals import ApprovalState, get_approval
from master.approvals.tables import approvals
from master.ledger.tables import ledger_entries
from master.store.tables import events, outcomes, runs


def count_damage(connection: Connection, requests: int) -> dict[str, int]:
    decided = Counter(
        data["approval"]
        for data in connection.execute(
            select(events.c.data).where(events.c.name == "approval_decided")
        ).scalars()
    )
    wakes = connection.execute(select(runs.c.wake)).scalars().all()
    answers = connection.execute(select(func.count()).select_from(outcomes)).scalar_one()
    rows = connection.execute(select(approvals.c.id, approvals.c.state, approvals.c.cost_minor)).all()
    reserved = Counter(
        connection.execute(
            select(ledger_entries.c.approval_id).where(ledger_entries.c.kind == "reserve")
        ).scalars()
    )
    settled = [row for row in rows if row.state != ApprovalState.PENDING]
    for state, count in Counter(str(row.state) for row in rows).items():
        print(f"races: {count} {state}", file=sys.stderr)
    wrong_money = sum(
        reserved[row.id] != (row.state == ApprovalState.APPROVED and row.cost_minor > 0) for row in rows
    )
    undecided_votes = [row for row in rows if row.state == ApprovalState.PENDING]
    return {
        "requests": requests,
        "double_decisions": sum(count > 1 for count in decided.values()) + sum(wake > 2 for wake in wakes),
        "double_postings": wrong_money,
        # Decided, but without its event, its outcome or its wake-up; or never decided although enough did.
        "lost": sum(decided[row.id] != 1 for row in settled)
        + abs(len(settled) - answers)
        + abs(len(settled) - sum(wake == 2 for wake in wakes))
        + sum(_should_be_decided(connection, row.id) for row in undecided_votes),
    }


def _should_be_decided(connection: Connection, approval_id: str) -> bool:
    """Whether a request that still waits had enough yeses."""
    approval = get_approval(connection, approval_id)
    return len(approval.votes) >= approval.quorum or approval.quorum == 1

"""Approval requests in the database."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from master.approvals.records import Approval, ApprovalState, Vote
from master.approvals.tables import APPROVALS_TO_DO, approval_votes, approvals
from master.store.order import Way, later_of
from tasks.errors import NotFound

#: No vowels and no look-alikes: an id is typed on a phone.
_ALPHABET = "bcdfghjkmnpqrstvwxz23456789"


def get_approval(connection: Connection, approval_id: str) -> Approval:
    """The request of this id; ``NotFound`` says how to list the pending ones."""
    row = connection.execute(select(approvals).where(approvals.c.id == approval_id.strip().lower())).first()
    if row is None:
        raise NotFound(
            f"there is no approval request {approval_id[:40]!r}: 'd8 approval list' shows the pending ones"
        )
    return with_votes(connection, [row])[0]


def list_approvals(
    connection: Connection,
    state: ApprovalState | None = None,
    *,
    run_id: str = "",
    newest_first: bool = False,
    limit: int | None = None,
    after: tuple[datetime, str] | None = None,
) -> list[Approval]:
    """Requests in the order in which they were made, of one state or of all, of one run or of all; ``after``:
    those behind the one of this time and id."""
    order = approvals.c.created_at.desc() if newest_first else approvals.c.created_at
    query = select(approvals).order_by(order, approvals.c.id).limit(limit)
    if state is not None:
        query = query.where(approvals.c.state == state)
    if run_id:
        query = query.where(approvals.c.run_id == run_id)
    if after is not None:
        way: Way = "desc" if newest_first else "asc"
        query = query.where(later_of((approvals.c.created_at, way), (approvals.c.id, "asc"), after=after))
    return with_votes(connection, connection.execute(query).all())


def list_to_do(connection: Connection) -> list[Approval]:
    """What the owner has approved and has still to do, the most pressing first."""
    query = select(approvals).where(APPROVALS_TO_DO).order_by(approvals.c.execute_by, approvals.c.id)
    return with_votes(connection, connection.execute(query).all())


def find_approvals(connection: Connection, ids: Collection[str]) -> dict[str, Approval]:
    """Those of these ids that there are."""
    rows = connection.execute(select(approvals).where(approvals.c.id.in_(ids))).all() if ids else []
    return {each.id: each for each in with_votes(connection, rows)}


def unused_id(connection: Connection) -> str:
    while True:
        candidate = "".join(secrets.choice(_ALPHABET) for _ in range(5))
        if connection.execute(select(approvals.c.id).where(approvals.c.id == candidate)).first() is None:
            return candidate


def with_votes(connection: Connection, rows: Sequence[Row[Any]]) -> list[Approval]:
    """Rows of ``approvals`` as records, with the yeses of their standing revisions."""
    ids = [row.id for row in rows if row.quorum > 1]
    cast: dict[tuple[str, int], list[Vote]] = {}
    if ids:
        query = (
            select(approval_votes).where(approval_votes.c.approval_id.in_(ids)).order_by(approval_votes.c.at)
        )
        for vote in connection.execute(query):
            made = Vote(by=vote.by, door=vote.door, at=vote.at, note=vote.note)
            cast.setdefault((vote.approval_id, vote.revision), []).append(made)
    found = []
    for row in rows:
        fields = row._asdict()
        del fields["step_id"]
        found.append(Approval.model_validate({**fields, "votes": cast.get((row.id, row.revision), ())}))
    return found

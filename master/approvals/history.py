"""What was asked and how it ended: found by its words, page by page; and all that happened to one request."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select

from master.approvals.records import Approval, ApprovalState, Vote
from master.approvals.store import with_votes
from master.approvals.tables import approval_revisions, approval_votes, approvals
from master.store.tables import events

#: Events of a run that are looked through for those of one request.
_MOST_EVENTS = 300
_NAMES = (
    "approval_requested",
    "approval_joined",
    "approval_revised",
    "approval_superseded",
    "approval_voted",
    "approval_refused",
    "approval_decided",
    "approval_executed",
    "approval_abandoned",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ApprovalFilter:
    """Which decided requests are looked for; what is empty does not restrict."""

    states: Sequence[ApprovalState] = ()
    type: str = ""
    category: str = ""
    #: Part of the id, the title, the reason or the note.
    text: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class After:
    """The request after which the next page begins."""

    decided_at: datetime
    approval_id: str


def find_decided(
    connection: Connection, wanted: ApprovalFilter, *, limit: int, after: After | None = None
) -> list[Approval]:
    """What waits for no decision any more, the latest decided first, equally old ones by id."""
    query = (
        select(approvals)
        .where(approvals.c.state != ApprovalState.PENDING, *_conditions(wanted))
        .order_by(approvals.c.decided_at.desc(), approvals.c.id)
        .limit(limit)
    )
    if after is not None:
        same = (approvals.c.decided_at == after.decided_at) & (approvals.c.id > after.approval_id)
        query = query.where(or_(approvals.c.decided_at < after.decided_at, same))
    return with_votes(connection, connection.execute(query).all())


def _conditions(wanted: ApprovalFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.states:
        found.append(approvals.c.state.in_(wanted.states))
    if wanted.type:
        found.append(approvals.c.type == wanted.type)
    if wanted.category:
        found.append(approvals.c.category == wanted.category)
    if wanted.text:
        places = (approvals.c.id, approvals.c.title, approvals.c.reason, approvals.c.note, approvals.c.run_id)
        found.append(or_(*(place.icontains(wanted.text, autoescape=True) for place in places)))
    return found


def count_by_state(connection: Connection) -> dict[ApprovalState, int]:
    """How many requests there are in each state."""
    query = select(approvals.c.state, func.count().label("requests")).group_by(approvals.c.state)
    counts = {row.state: row.requests for row in connection.execute(query)}
    return {state: counts.get(state, 0) for state in ApprovalState}


def list_categories(connection: Connection) -> list[str]:
    """What requests were about money of."""
    query = select(approvals.c.category).distinct().order_by(approvals.c.category).limit(100)
    return list(connection.execute(query).scalars())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Revision:
    """What was asked before it was changed."""

    number: int
    question: dict[str, Any]
    asked_at: datetime
    superseded_at: datetime


def list_revisions(connection: Connection, approval_id: str) -> list[Revision]:
    """The first one first; without the one that stands."""
    table = approval_revisions
    query = select(table).where(table.c.approval_id == approval_id).order_by(table.c.revision)
    return [
        Revision(
            number=row.revision,
            question=row.question,
            asked_at=row.asked_at,
            superseded_at=row.superseded_at,
        )
        for row in connection.execute(query)
    ]


def list_votes(connection: Connection, approval_id: str) -> list[Vote]:
    """The yeses of the revision that stands, also where one is enough."""
    table = approval_votes
    query = select(table).where(table.c.approval_id == approval_id).order_by(table.c.at)
    return [Vote(by=row.by, door=row.door, at=row.at, note=row.note) for row in connection.execute(query)]


def list_happenings(connection: Connection, approval: Approval) -> list[dict[str, Any]]:
    """The events of this request, newest first, among the newest about requests of its run."""
    query = (
        select(events)
        .where(events.c.run_id == approval.run_id, events.c.name.in_(_NAMES))
        .order_by(events.c.seq.desc())
        .limit(_MOST_EVENTS)
    )
    found = [row._asdict() for row in connection.execute(query)]
    return [event for event in found if event["data"].get("approval") == approval.id]

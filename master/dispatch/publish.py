"""From ready to queued: as many steps as the lanes have room for get a ticket."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, exists, func, or_, select, update

from master.dispatch.placement import Candidate, place
from master.dispatch.states import OPEN_RUNS, StepState
from master.store.tables import fleet, runs, steps, workers
from tasks.protocol import Ticket
from tasks.record import Record


class Posting(Record):
    """A ticket and where it is to be sent. Sent only after the commit that made the step queued."""

    ticket: Ticket
    task: str
    lane: str
    deadline_s: int


#: So many of a run's ready steps are looked at in one go; the next go follows at once.
_WINDOW = 256


def publish_ready(
    connection: Connection, *, now: datetime, waiting_per_slot: int, ring_again_s: float
) -> list[Posting]:
    """Move ready steps to queued where there is room; returns the tickets to send."""
    if fleet_value(connection, "paused") == "yes":
        return []
    free = _free_places(connection, waiting_per_slot)
    if not any(count > 0 for count in free.values()):
        return []
    placed = place(_candidates(connection, now, max(free.values())), free)
    build = fleet_value(connection, "build")
    postings: list[Posting] = []
    for lane in {one.lane for one in placed}:
        rows = connection.execute(
            update(steps)
            .where(
                steps.c.id.in_([one.step_id for one in placed if one.lane == lane]),
                steps.c.state == StepState.READY,
            )
            .values(
                state=StepState.QUEUED,
                lane=lane,
                build=build,
                rings=0,
                ring_at=now + timedelta(seconds=ring_again_s),
            )
            .returning(
                steps.c.id, steps.c.attempt, steps.c.build, steps.c.task, steps.c.lane, steps.c.deadline_s
            )
        )
        postings += [_posting(row) for row in rows]
    return sorted(postings, key=lambda posting: posting.ticket.step)


def ring_again(
    connection: Connection, *, now: datetime, ring_again_s: float, limit: int = 500
) -> list[Posting]:
    """Tickets that nobody has claimed for a while, to be sent once more.

    A ticket may have been lost with its queue or its worker; if it was not, the second copy's claim
    is refused. Each further ring waits twice as long, up to a minute.
    """
    due = select(steps.c.id).where(steps.c.state == StepState.QUEUED, steps.c.ring_at <= now).limit(limit)
    rows = connection.execute(
        select(steps.c.id, steps.c.rings).where(steps.c.id.in_(due.scalar_subquery()))
    ).all()
    postings: list[Posting] = []
    for rings in {row.rings for row in rows}:
        wait_s = min(60.0, ring_again_s * 2 ** min(rings + 1, 10))
        again = connection.execute(
            update(steps)
            .where(
                steps.c.id.in_([row.id for row in rows if row.rings == rings]),
                steps.c.state == StepState.QUEUED,
            )
            .values(rings=rings + 1, ring_at=now + timedelta(seconds=wait_s))
            .returning(
                steps.c.id, steps.c.attempt, steps.c.build, steps.c.task, steps.c.lane, steps.c.deadline_s
            )
        )
        postings += [_posting(row) for row in again]
    return postings


def fleet_value(connection: Connection, name: str) -> str:
    """A fact about the fleet as a whole, or ""."""
    return connection.execute(select(fleet.c.value).where(fleet.c.name == name)).scalar() or ""


def _posting(row: Row[Any]) -> Posting:
    return Posting(
        ticket=Ticket(step=row.id, attempt=row.attempt, build=row.build),
        task=row.task,
        lane=row.lane,
        deadline_s=row.deadline_s,
    )


def _free_places(connection: Connection, waiting_per_slot: int) -> dict[str, int]:
    """For each lane with an active worker, how many more tickets it takes."""
    slots: Counter[str] = Counter()
    for row in connection.execute(
        select(workers.c.lanes, workers.c.slots).where(workers.c.state == "active")
    ):
        for lane in row.lanes:
            slots[lane] += row.slots
    out = {
        row.lane: row.steps
        for row in connection.execute(
            select(steps.c.lane, func.count().label("steps"))
            .where(steps.c.state.in_((StepState.QUEUED, StepState.RUNNING)))
            .group_by(steps.c.lane)
        )
    }
    return {lane: count * (1 + waiting_per_slot) - out.get(lane, 0) for lane, count in slots.items()}


def _candidates(connection: Connection, now: datetime, most: int) -> list[Candidate]:
    """The first ready steps of each open run, by priority."""
    ready = steps.c.state == StepState.READY
    # One look into the index per open run; a DISTINCT would read every step that is ready.
    waiting_runs = (
        connection.execute(
            select(runs.c.id).where(
                runs.c.state.in_(OPEN_RUNS),
                exists(select(steps.c.id).where(ready, steps.c.run_id == runs.c.id)),
            )
        )
        .scalars()
        .all()
    )
    found: list[Candidate] = []
    for run_id in waiting_runs:
        rows = connection.execute(
            select(steps.c.id, steps.c.run_id, steps.c.priority, steps.c.lanes)
            .where(
                ready,
                steps.c.run_id == run_id,
                or_(steps.c.not_before.is_(None), steps.c.not_before <= now),
            )
            .order_by(steps.c.priority.desc(), steps.c.id)
            .limit(min(most, _WINDOW))
        )
        found += [
            Candidate(
                step_id=row.id, run_id=row.run_id, priority=row.priority, lanes=tuple(row.lanes.split(","))
            )
            for row in rows
        ]
    return found

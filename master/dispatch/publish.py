"""From ready to queued: as many steps as the lanes have room for get a ticket."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, case, or_, select, update

from master.dispatch.finish import record_outcome
from master.dispatch.placement import Unservable, place
from master.dispatch.states import StepState
from master.dispatch.survey import survey_fleet, survey_steps
from master.dispatch.wake import wake_run
from master.events import record_event
from master.store.tables import fleet, steps, workers
from master.store.types import UtcDateTime
from tasks.lanes import lane_queue, worker_queue
from tasks.protocol import Ticket
from tasks.record import Record


class Posting(Record):
    """A ticket and where it is to be sent. Sent only after the commit that made the step queued."""

    ticket: Ticket
    task: str
    lane: str
    #: The worker whose own queue gets it; "" for the lane's.
    sent_to: str = ""
    deadline_s: int

    @property
    def queue(self) -> str:
        build = self.ticket.build
        return worker_queue(self.sent_to, build) if self.sent_to else lane_queue(self.lane, build)


_POSTED = (
    steps.c.id,
    steps.c.attempt,
    steps.c.build,
    steps.c.task,
    steps.c.lane,
    steps.c.sent_to,
    steps.c.deadline_s,
)


#: Made once: they are run for every step.
_QUEUE = (
    update(steps)
    .where(steps.c.id.in_(bindparam("b_ids", expanding=True)), steps.c.state == StepState.READY)
    .values(
        state=StepState.QUEUED,
        lane=bindparam("b_lane"),
        sent_to=bindparam("b_worker"),
        build=bindparam("b_build"),
        rings=0,
        ring_at=bindparam("b_ring_at", type_=UtcDateTime),
    )
    .returning(*_POSTED)
)
_FLEET_VALUE = select(fleet.c.value).where(fleet.c.name == bindparam("b_name"))


def publish_ready(
    connection: Connection, *, now: datetime, waiting_per_slot: int, ring_again_s: float
) -> list[Posting]:
    """Move ready steps to queued where there is room; returns the tickets to send."""
    if fleet_value(connection, "paused") == "yes":
        return []
    there = survey_fleet(connection, waiting_per_slot)
    most = max(there.free.values(), default=0)
    if most <= 0:
        return []
    placed, unservable = place(survey_steps(connection, now, most), there)
    for one in unservable:
        _fail_unservable(connection, one, now)
    build = fleet_value(connection, "build")
    postings: list[Posting] = []
    for lane, worker in {(one.lane, one.worker) for one in placed}:
        there_ids = [one.step_id for one in placed if (one.lane, one.worker) == (lane, worker)]
        values = {
            "b_ids": there_ids,
            "b_lane": lane,
            "b_worker": worker,
            "b_build": build,
            "b_ring_at": now + timedelta(seconds=ring_again_s),
        }
        rows = connection.execute(_QUEUE, values)
        postings += [_posting(row) for row in rows]
    return sorted(postings, key=lambda posting: posting.ticket.step)


def ring_again(
    connection: Connection, *, now: datetime, ring_again_s: float, limit: int = 500
) -> list[Posting]:
    """Tickets that nobody has claimed for a while, to be sent once more.

    A ticket may have been lost with its queue or its worker; if it was not, the second copy's claim
    is refused. Each further ring waits twice as long, up to a minute. What one worker was to have
    goes back to the lane; what only some may run is placed anew when its worker is not there.
    """
    due = and_(steps.c.state == StepState.QUEUED, steps.c.ring_at <= now)
    _take_back_from_absent(connection, due)
    rows = connection.execute(select(steps.c.id, steps.c.rings).where(due).limit(limit)).all()
    anybody = and_(steps.c.only_worker == "", steps.c.needs == "")
    postings: list[Posting] = []
    for rings in {row.rings for row in rows}:
        wait_s = min(60.0, ring_again_s * 2 ** min(rings + 1, 10))
        again = connection.execute(
            update(steps)
            .where(
                steps.c.id.in_([row.id for row in rows if row.rings == rings]),
                steps.c.state == StepState.QUEUED,
            )
            .values(
                rings=rings + 1,
                ring_at=now + timedelta(seconds=wait_s),
                sent_to=case((anybody, ""), else_=steps.c.sent_to),
            )
            .returning(*_POSTED)
        )
        postings += [_posting(row) for row in again]
    return postings


def fleet_value(connection: Connection, name: str) -> str:
    """A fact about the fleet as a whole, or ""."""
    return connection.execute(_FLEET_VALUE, {"b_name": name}).scalar() or ""


def set_fleet_value(connection: Connection, name: str, value: str) -> None:
    """Keep a fact about the fleet as a whole."""
    changed = connection.execute(update(fleet).where(fleet.c.name == name).values(value=value))
    if not changed.rowcount:
        connection.execute(fleet.insert().values(name=name, value=value))


def _take_back_from_absent(connection: Connection, due: Any) -> None:
    """A new attempt, so that the ticket that is out can never be claimed."""
    present = select(workers.c.name).where(workers.c.state.in_(("active", "joining")))
    connection.execute(
        update(steps)
        .where(
            due,
            or_(steps.c.only_worker != "", steps.c.needs != ""),
            steps.c.sent_to != "",
            steps.c.sent_to.not_in(present),
        )
        .values(state=StepState.READY, attempt=steps.c.attempt + 1, ring_at=None, sent_to="")
    )


def _fail_unservable(connection: Connection, one: Unservable, now: datetime) -> None:
    row = connection.execute(
        update(steps)
        .where(steps.c.id == one.step_id, steps.c.state == StepState.READY)
        .values(state=StepState.FAILED, error=one.reason, finished_at=now)
        .returning(steps.c.run_id, steps.c.attempt)
    ).first()
    if row is None:
        return
    record_outcome(connection, one.step_id, row.run_id, row.attempt, StepState.FAILED, now)
    record_event(
        connection, "step_unservable", now, run_id=row.run_id, step_id=one.step_id, error=one.reason[:500]
    )
    wake_run(connection, row.run_id, now)


def _posting(row: Row[Any]) -> Posting:
    return Posting(
        ticket=Ticket(step=row.id, attempt=row.attempt, build=row.build),
        task=row.task,
        lane=row.lane,
        sent_to=row.sent_to,
        deadline_s=row.deadline_s,
    )

"""The clock's side: what is due is started, exactly once for each moment, and duties are done.

What is decided about a moment (the execution's row, its run, when the schedule is due next) is one transaction.
Two ticks at once, or one that is killed anywhere, leave it decided once or not at all.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from master.clock import Clock
from master.events import record_event
from master.schedules.duties import DUTIES
from master.schedules.executions import find_open, leave_out, start_execution
from master.schedules.moments import Decision, Rule, decide
from master.schedules.records import ExecutionState, Missed, Overlap
from master.schedules.tables import executions, schedules
from master.settings import Settings
from master.store import Database
from tasks.errors import D8Error
from tasks.log import say

log = logging.getLogger("d8.schedules")

#: A duty takes minutes; one that is not over after so long went down with its process.
LONGEST = timedelta(hours=6)


def tick(database: Database, clock: Clock) -> int:
    """Start what is due; returns how many schedules were. One that cannot be started stops no other."""
    now = clock()
    with database.read() as connection:
        due = schedules.c.next_at <= now
        ids = (
            connection.execute(select(schedules.c.id).where(due).order_by(schedules.c.next_at))
            .scalars()
            .all()
        )
    for schedule_id in ids:
        try:
            with database.write() as connection:
                take_moment(connection, schedule_id, now)
        except D8Error as error:
            # Of its flow or params, which may have changed with a new build.
            with database.write() as connection:
                take_moment(connection, schedule_id, now, why_not=str(error))
            say(log, logging.ERROR, "schedule_failed", schedule=schedule_id, why=error)
    return len(ids)


def take_moment(connection: Connection, schedule_id: str, now: datetime, *, why_not: str = "") -> None:
    """Decide about one schedule's moment, if nobody else has."""
    row = connection.execute(select(schedules).where(schedules.c.id == schedule_id)).first()
    if row is None or row.next_at is None or row.next_at > now:
        return
    decision = _decide(connection, row, now)
    moved = connection.execute(
        update(schedules)
        .where(schedules.c.id == row.id, schedules.c.next_at == row.next_at)
        .values(next_at=decision.next_at)
    )
    if not moved.rowcount:
        return
    if why_not or decision.skip:
        state = ExecutionState.FAILED if why_not else ExecutionState.SKIPPED
        leave_out(connection, row, decision.due_at, state=state, why=why_not or decision.skip, now=now)
    else:
        start_execution(connection, row, decision.due_at, origin="clock", now=now)


def _decide(connection: Connection, row: Row[Any], now: datetime) -> Decision:
    rule = Rule(cron=row.cron, zone=row.zone, missed=Missed(row.missed), overlap=Overlap(row.overlap))
    return decide(rule, row.next_at, now, find_open(connection, row.id))


def do_duties(database: Database, settings: Settings, clock: Clock) -> int:
    """Do the duties that are ready; returns how many were done here."""
    _end_lost(database, clock())
    with database.read() as connection:
        ready = executions.c.state == ExecutionState.READY
        found = connection.execute(select(executions).where(ready).order_by(executions.c.created_at)).all()
    done = 0
    for row in found:
        if _move(
            database, row, ExecutionState.READY, clock(), state=ExecutionState.RUNNING, started_at=clock()
        ):
            _do(database, settings, row, clock)
            done += 1
    return done


def _do(database: Database, settings: Settings, row: Row[Any], clock: Clock) -> None:
    with database.read() as connection:
        query = select(schedules.c.params).where(schedules.c.id == row.schedule_id)
        params = connection.execute(query).scalar() or {}
    duty = DUTIES[row.duty]
    state, note = ExecutionState.DONE, ""
    try:
        note = duty.function(settings, database, duty.params.model_validate(params), clock())
    except (D8Error, OSError) as error:
        state, note = ExecutionState.FAILED, str(error)
        say(log, logging.ERROR, "duty_failed", duty=row.duty, schedule=row.schedule, why=error)
    _move(database, row, ExecutionState.RUNNING, clock(), state=state, note=note[:2000], finished_at=clock())


def _move(database: Database, row: Row[Any], old: ExecutionState, now: datetime, **values: Any) -> bool:
    with database.write() as connection:
        mine = (executions.c.id == row.id) & (executions.c.state == old)
        moved = connection.execute(update(executions).where(mine).values(**values)).rowcount
        if moved and values["state"] in (ExecutionState.DONE, ExecutionState.FAILED):
            record_event(
                connection, f"execution_{values['state']}", now, schedule=row.schedule, execution=row.id,
                note=values["note"][:500],
            )  # fmt: skip
    return bool(moved)


def _end_lost(database: Database, now: datetime) -> None:
    lost = (executions.c.state == ExecutionState.RUNNING) & (executions.c.started_at < now - LONGEST)
    with database.read() as connection:
        found = connection.execute(select(executions).where(lost)).all()
    for row in found:
        note = "the master was stopped while it was at it"
        _move(
            database,
            row,
            ExecutionState.RUNNING,
            now,
            state=ExecutionState.FAILED,
            note=note,
            finished_at=now,
        )

"""Workers join, are heard from, and are missed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from master.dispatch.losses import end_worker_claims
from master.dispatch.publish import fleet_value
from master.events import record_event
from master.fleet.states import WorkerState, check_worker_move, state_on_join
from master.store import news_of
from master.store.tables import steps, workers
from tasks.errors import NotFound, Refused
from tasks.protocol import Heartbeat, Join, Welcome

#: A worker is offline when it has missed two heartbeats and then some.
MISSED = 2.5


def join_worker(connection: Connection, join: Join, *, now: datetime, heartbeat_s: float) -> Welcome:
    """Admit a worker session. What an older session of the same name still held goes back at once."""
    fleet_build = fleet_value(connection, "build")
    old = connection.execute(select(workers).where(workers.c.name == join.worker)).first()
    state = state_on_join(
        join.build, fleet_build, was_draining=old is not None and old.state == WorkerState.DRAINING
    )
    reason = build_reason(join.worker, join.build, fleet_build) if state is WorkerState.WRONG_BUILD else ""
    values = {
        **join.model_dump(mode="json", exclude={"worker"}),
        "state": state,
        "reason": reason,
        "joined_at": now,
        "seen_at": now,
    }
    if old is None:
        connection.execute(insert(workers).values(name=join.worker, **values))
    else:
        connection.execute(update(workers).where(workers.c.name == join.worker).values(**values))
    end_worker_claims(
        connection,
        join.worker,
        but_session=join.session,
        now=now,
        why=f"worker {join.worker!r} was started again",
    )
    if old is None or old.session != join.session:
        record_event(connection, "worker_joined", now, worker=join.worker, state=str(state), build=join.build)
    news_of(connection).dispatch = True
    return Welcome(state=state, reason=reason, fleet_build=fleet_build, heartbeat_s=heartbeat_s)


def hear_worker(
    connection: Connection, heartbeat: Heartbeat, *, now: datetime, heartbeat_s: float
) -> Welcome:
    """Note a heartbeat. ``NotFound`` or ``Refused``: it must join (again)."""
    row = get_worker(connection, heartbeat.worker)
    if row.session != heartbeat.session:
        raise Refused(
            f"worker {heartbeat.worker!r} has been started again since: this process is not it any more"
        )
    fleet_build = fleet_value(connection, "build")
    state = WorkerState(row.state)
    if state is WorkerState.OFFLINE:
        state = state_on_join(row.build, fleet_build, was_draining=False)
        move_worker(connection, row, state, build_reason(row.name, row.build, fleet_build), now)
    connection.execute(
        update(workers)
        .where(workers.c.name == heartbeat.worker)
        .values(seen_at=now, hardware=heartbeat.hardware.model_dump(mode="json"))
    )
    reason = connection.execute(select(workers.c.reason).where(workers.c.name == row.name)).scalar_one()
    return Welcome(state=state, reason=reason, fleet_build=fleet_build, heartbeat_s=heartbeat_s)


def miss_workers(connection: Connection, *, now: datetime, heartbeat_s: float) -> int:
    """Mark those offline that were not heard from. Their claims end by their leases. Returns how many."""
    silent = connection.execute(
        select(workers).where(
            workers.c.state != WorkerState.OFFLINE,
            workers.c.seen_at < now - timedelta(seconds=heartbeat_s * MISSED),
        )
    ).all()
    for row in silent:
        move_worker(
            connection,
            row,
            WorkerState.OFFLINE,
            f"not heard from since {row.seen_at:%Y-%m-%d %H:%M:%S} UTC",
            now,
        )
    return len(silent)


def leave_worker(connection: Connection, name: str, session: str, *, now: datetime) -> None:
    """A worker says goodbye: it is offline at once, and what it still held goes back."""
    row = get_worker(connection, name)
    if row.session == session and row.state != WorkerState.OFFLINE:
        move_worker(connection, row, WorkerState.OFFLINE, "it was stopped", now)
        end_worker_claims(connection, name, but_session="", now=now, why=f"worker {name!r} was stopped")
        news_of(connection).dispatch = True


def drain_worker(connection: Connection, name: str, *, resume: bool, by: str, now: datetime) -> WorkerState:
    """Give the worker nothing new, or (``resume``) work again. Returns its new state."""
    row = get_worker(connection, name)
    fleet_build = fleet_value(connection, "build")
    state = state_on_join(row.build, fleet_build, was_draining=False) if resume else WorkerState.DRAINING
    move_worker(connection, row, state, "" if resume else f"drained by {by}", now)
    news_of(connection).dispatch = True
    return state


def remove_worker(connection: Connection, name: str, *, by: str, now: datetime) -> None:
    """Forget a worker that is offline."""
    row = get_worker(connection, name)
    if row.state != WorkerState.OFFLINE:
        raise Refused(f"worker {name!r} is {row.state}: stop it first, then remove it")
    connection.execute(delete(workers).where(workers.c.name == name))
    record_event(connection, "worker_removed", now, worker=name, by=by)


def get_worker(connection: Connection, name: str) -> Row[Any]:
    """The worker's row; ``NotFound`` says how to list them."""
    row = connection.execute(select(workers).where(workers.c.name == name)).first()
    if row is None:
        raise NotFound(f"no worker is called {name!r}: 'd8 worker list' shows them")
    return row


def list_workers(connection: Connection) -> list[dict[str, Any]]:
    """Every worker as the API shows it, with what it runs."""
    held: dict[str, list[dict[str, Any]]] = {}
    running = select(
        steps.c.id, steps.c.worker, steps.c.run_id, steps.c.key, steps.c.task, steps.c.progress, steps.c.note
    ).where(steps.c.state == "running")
    for row in connection.execute(running):
        step = row._asdict()
        held.setdefault(step.pop("worker"), []).append(step)
    return [
        {
            "name": row.name,
            "state": row.state,
            "reason": row.reason,
            "build": row.build,
            "commit": row.commit,
            "dirty": row.dirty,
            "lanes": row.lanes,
            "slots": row.slots,
            "host": row.host,
            "hardware": row.hardware,
            "running": held.get(row.name, []),
            "joined_at": row.joined_at,
            "seen_at": row.seen_at,
        }
        for row in connection.execute(select(workers).order_by(workers.c.name))
    ]


def move_worker(
    connection: Connection, row: Row[Any], state: WorkerState, reason: str, now: datetime
) -> None:
    check_worker_move(row.name, WorkerState(row.state), state)
    connection.execute(update(workers).where(workers.c.name == row.name).values(state=state, reason=reason))
    if state != row.state:
        record_event(
            connection, f"worker_{state}", now, worker=row.name, was=row.state, reason=reason, build=row.build
        )


def build_reason(name: str, build: str, fleet_build: str) -> str:
    if build == fleet_build:
        return ""
    return (
        f"it runs build {build}, this fleet runs {fleet_build}: bring the code of {name!r} to the master's and "
        f"start it again"
    )

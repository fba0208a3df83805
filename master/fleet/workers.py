"""Workers join, are heard from, and are missed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from master.dispatch.losses import end_worker_claims
from master.dispatch.publish import fleet_value
from master.events import record_event
from master.fleet.notices import close_notice, open_notice
from master.fleet.samples import gather_sample
from master.fleet.states import WorkerState, check_worker_move, state_on_join
from master.fleet.tables import worker_logs
from master.store import news_of
from master.store.tables import workers
from tasks.errors import NotFound, Refused
from tasks.protocol import Heartbeat, Join, ModelServerStats, Welcome

_LOG_WANTED = select(worker_logs.c.asked_at).where(worker_logs.c.worker == bindparam("b_worker"))
#: A worker is offline when it has missed two heartbeats and then some.
MISSED = 2.5
#: One that gets no work is to hear soon what is wanted of it.
_IDLE_HEARTBEAT_S = 5.0
#: A clock that is further off than this is worth a word.
_SKEW_S = 30.0


def join_worker(
    connection: Connection, join: Join, *, now: datetime, heartbeat_s: float, master_host: str = ""
) -> Welcome:
    """Admit a worker session. What an older session of the same name still held goes back at once."""
    fleet_build = fleet_value(connection, "build")
    old = connection.execute(select(workers).where(workers.c.name == join.worker)).first()
    values = {
        **join.model_dump(mode="json", exclude={"worker", "sent_at"}),
        "local": join.host == master_host,
        "clock_skew_s": _skew_s(join.sent_at, now),
        "note": "",
        "update_to": "",
        "model_server": None,
        "joined_at": now,
        "seen_at": now,
    }
    if old is None:
        unknown = {"name": join.worker, "state": WorkerState.OFFLINE, "reason": ""}
        connection.execute(insert(workers).values(**unknown, **values))
    else:
        connection.execute(update(workers).where(workers.c.name == join.worker).values(**values))
    row = get_worker(connection, join.worker)
    was = None if old is None else WorkerState(old.state)
    if was is WorkerState.QUARANTINED and old is not None and old.build != join.build:
        # Other code may do better.
        was = None
    state = state_on_join(join.build, fleet_build, was=was, on_trial=bool(join.trial_from))
    reason = (
        old.reason if old is not None and state in (WorkerState.DRAINING, WorkerState.QUARANTINED) else ""
    )
    move_worker(connection, row, state, reason or standing_reason(row, state, fleet_build), now, quiet=True)
    end_worker_claims(
        connection,
        join.worker,
        but_session=join.session,
        now=now,
        why=f"worker {join.worker!r} was started again",
    )
    if old is None or old.session != join.session:
        record_event(connection, "worker_joined", now, worker=join.worker, state=str(state), build=join.build)
    if join.update_error and (old is None or old.update_error != join.update_error):
        record_event(connection, "worker_update_failed", now, worker=join.worker, error=join.update_error)
    news_of(connection).dispatch = True
    return _welcome(connection, join.worker, fleet_build, heartbeat_s, now)


def hear_worker(
    connection: Connection, heartbeat: Heartbeat, *, now: datetime, heartbeat_s: float
) -> Welcome:
    """Note a heartbeat. ``NotFound`` or ``Refused``: it must join (again)."""
    row = get_worker(connection, heartbeat.worker)
    if row.session != heartbeat.session or row.state == WorkerState.REMOVED:
        raise Refused(
            f"worker {heartbeat.worker!r} has been started again or removed since: this process is not it any more"
        )
    fleet_build = fleet_value(connection, "build")
    if row.state == WorkerState.OFFLINE:
        state = state_on_join(row.build, fleet_build, on_trial=bool(row.trial_from))
        move_worker(connection, row, state, standing_reason(row, state, fleet_build), now)
        news_of(connection).dispatch = True
    skew_s = _skew_s(heartbeat.sent_at, now)
    if abs(skew_s) > _SKEW_S >= abs(row.clock_skew_s):
        record_event(connection, "worker_clock_is_off", now, worker=row.name, ahead_s=round(skew_s, 1))
    connection.execute(
        update(workers)
        .where(workers.c.name == heartbeat.worker)
        .values(
            seen_at=now,
            hardware=heartbeat.hardware.model_dump(mode="json"),
            clock_skew_s=skew_s,
            note=heartbeat.note,
            model_server=heartbeat.models.model_dump(mode="json") if heartbeat.models else None,
            gathered=gather_sample(connection, row, heartbeat.hardware, now=now),
        )
    )
    return _welcome(connection, heartbeat.worker, fleet_build, heartbeat_s, now)


def miss_workers(connection: Connection, *, now: datetime, heartbeat_s: float) -> int:
    """Mark those offline that were not heard from. Their claims end by their leases. Returns how many."""
    silent = connection.execute(
        select(workers).where(
            workers.c.state.not_in((WorkerState.OFFLINE, WorkerState.REMOVED)),
            # An invited machine has not been heard from yet.
            workers.c.session != "",
            workers.c.seen_at < now - timedelta(seconds=heartbeat_s * MISSED),
        )
    ).all()
    for row in silent:
        reason = f"not heard from since {row.seen_at:%Y-%m-%d %H:%M:%S} UTC"
        move_worker(connection, row, WorkerState.OFFLINE, reason, now)
        open_notice(connection, f"worker:{row.name}", "worker_offline", now, worker=row.name, reason=reason)
    return len(silent)


def leave_worker(connection: Connection, heartbeat: Heartbeat, *, now: datetime) -> None:
    """A worker says goodbye: it is offline at once, and what it still held goes back."""
    name = heartbeat.worker
    row = get_worker(connection, name)
    if row.session == heartbeat.session and row.state not in (WorkerState.OFFLINE, WorkerState.REMOVED):
        move_worker(connection, row, WorkerState.OFFLINE, heartbeat.note or "it was stopped", now)
        end_worker_claims(connection, name, but_session="", now=now, why=f"worker {name!r} was stopped")
        news_of(connection).dispatch = True


def get_worker(connection: Connection, name: str) -> Row[Any]:
    """The worker's row; ``NotFound`` says how to list them."""
    row = connection.execute(select(workers).where(workers.c.name == name)).first()
    if row is None:
        raise NotFound(f"no worker is called {name!r}: 'd8 worker list' shows them")
    return row


def model_servers(connection: Connection) -> dict[str, ModelServerStats | None]:
    """By worker, of all that belong to the fleet: the model server's latest numbers, or None where none
    answers or the worker is not heard from."""
    query = select(workers.c.name, workers.c.model_server).where(workers.c.state != WorkerState.REMOVED)
    return {
        row.name: None if row.model_server is None else ModelServerStats.model_validate(row.model_server)
        for row in connection.execute(query.order_by(workers.c.name))
    }


def move_worker(
    connection: Connection,
    row: Row[Any],
    state: WorkerState,
    reason: str,
    now: datetime,
    *,
    quiet: bool = False,
) -> None:
    """Move a worker to ``state``. The owner hears of what they must act on, and that it is over.
    ``quiet``: without an event of its own, since the caller records a better one."""
    check_worker_move(row.name, WorkerState(row.state), state)
    # Numbers of a worker that is gone are not shown as if they were of now.
    gone = {"model_server": None} if state in (WorkerState.OFFLINE, WorkerState.REMOVED) else {}
    connection.execute(
        update(workers).where(workers.c.name == row.name).values(state=state, reason=reason, **gone)
    )
    if state != row.state and not quiet:
        record_event(
            connection, f"worker_{state}", now, worker=row.name, was=row.state, reason=reason, build=row.build
        )
    subject = f"worker:{row.name}"
    if state is WorkerState.WRONG_BUILD and not row.update_to:
        open_notice(connection, subject, "worker_wrong_build", now, worker=row.name, reason=reason)
    elif state is WorkerState.QUARANTINED:
        open_notice(connection, subject, "worker_quarantined", now, worker=row.name, reason=reason)
    elif state is not WorkerState.OFFLINE:
        close_notice(connection, subject, now)


def standing_reason(row: Row[Any], state: WorkerState, fleet_build: str) -> str:
    """Why a worker is in this state, when nothing else says it."""
    if state is WorkerState.WRONG_BUILD:
        return build_reason(row.name, row.build, fleet_build, row.can_update, row.update_error)
    if state is WorkerState.JOINING:
        return f"it proves itself with build {row.build}"
    return ""


def build_reason(
    name: str, build: str, fleet_build: str, can_update: bool = False, update_error: str = ""
) -> str:
    """What a worker of another build is told, with the remedy."""
    what = f"it runs build {build}, this fleet runs {fleet_build}"
    if update_error:
        return f"{what}; the last update was undone: {update_error}"[:2000]
    if can_update:
        return f"{what}: run 'd8 worker update {name}'"
    return f"{what}: bring the code of {name!r} to the master's and start it again"


def _welcome(
    connection: Connection, name: str, fleet_build: str, heartbeat_s: float, now: datetime
) -> Welcome:
    row = get_worker(connection, name)
    if _updates_by_itself(row, fleet_build):
        connection.execute(update(workers).where(workers.c.name == name).values(update_to=fleet_build))
        record_event(connection, "worker_update_asked", now, worker=name, build=fleet_build, by="itself")
        close_notice(connection, f"worker:{name}", now)
        row = get_worker(connection, name)
    wanted = row.update_to if row.update_to == fleet_build != row.build else ""
    quick = row.state in (WorkerState.WRONG_BUILD, WorkerState.JOINING)
    return Welcome(
        state=row.state,
        reason=row.reason,
        fleet_build=fleet_build,
        heartbeat_s=min(heartbeat_s, _IDLE_HEARTBEAT_S) if quick else heartbeat_s,
        update_to=wanted,
        log_wanted=connection.execute(_LOG_WANTED, {"b_worker": name}).scalar() is not None,
    )


def _updates_by_itself(row: Row[Any], fleet_build: str) -> bool:
    """An update that was undone is not tried again unless the owner asks, or the build changes."""
    return bool(
        row.state == WorkerState.WRONG_BUILD
        and row.can_update
        and row.auto_update
        and row.update_to != fleet_build
        and not row.update_error
    )


def _skew_s(sent_at: datetime | None, now: datetime) -> float:
    return (sent_at - now).total_seconds() if sent_at is not None else 0.0

"""The owner's side of the workers: list, drain, resume, remove, update."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, select, update

from master.dispatch.losses import end_worker_claims
from master.dispatch.publish import fleet_value
from master.events import record_event
from master.fleet.notices import close_notice
from master.fleet.states import WorkerState, state_on_join
from master.fleet.workers import get_worker, move_worker, standing_reason
from master.store import news_of
from master.store.tables import STEPS_IN_FLIGHT, steps, tokens, workers
from tasks.errors import Refused

_SHOWN = (
    "name", "state", "reason", "build", "commit", "dirty", "lanes", "slots", "host", "hardware", "joined_at",
    "seen_at", "local", "clock_skew_s", "note", "can_update", "auto_update", "update_to", "update_error",
    "model_server",
)  # fmt: skip


_RUNNING = select(
    steps.c.id, steps.c.worker, steps.c.run_id, steps.c.key, steps.c.task, steps.c.progress, steps.c.note,
    steps.c.claimed_at,
).where(STEPS_IN_FLIGHT, steps.c.state == "running").order_by(steps.c.claimed_at, steps.c.id)  # fmt: skip


def list_workers(connection: Connection, *, removed: bool = False) -> list[dict[str, Any]]:
    """Every worker as the API shows it, with what it runs; ``removed``: also those that were taken out."""
    query = select(workers).order_by(workers.c.name)
    if not removed:
        query = query.where(workers.c.state != WorkerState.REMOVED)
    return _describe(connection, query)


def show_worker(connection: Connection, name: str) -> dict[str, Any]:
    """One worker, also one that was taken out. ``NotFound``."""
    get_worker(connection, name)
    return _describe(connection, select(workers).where(workers.c.name == name))[0]


def _describe(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    held: dict[str, list[dict[str, Any]]] = {}
    for row in connection.execute(_RUNNING):
        step = row._asdict()
        held.setdefault(step.pop("worker"), []).append(step)
    return [
        {**{name: getattr(row, name) for name in _SHOWN}, "running": held.get(row.name, [])}
        for row in connection.execute(query)
    ]


def drain_worker(connection: Connection, name: str, *, resume: bool, by: str, now: datetime) -> WorkerState:
    """Give the worker nothing new, or (``resume``) work again. Returns its new state."""
    row = get_worker(connection, name)
    if resume and row.state in (WorkerState.OFFLINE, WorkerState.REMOVED):
        raise Refused(f"worker {name!r} is {row.state}: start it with 'd8 worker start' on its machine")
    fleet_build = fleet_value(connection, "build")
    state = state_on_join(row.build, fleet_build) if resume else WorkerState.DRAINING
    reason = standing_reason(row, state, fleet_build) if resume else f"drained by {by}"
    move_worker(connection, row, state, reason, now)
    if resume:
        # What failed before is forgiven: strikes count from here.
        connection.execute(update(workers).where(workers.c.name == name).values(joined_at=now))
    news_of(connection).dispatch = True
    return state


def remove_worker(connection: Connection, name: str, *, by: str, now: datetime) -> None:
    """Take a worker out, whatever it does: its tokens are worth nothing from this commit on, and what it
    held goes back. A later result of it is refused."""
    row = get_worker(connection, name)
    if row.state == WorkerState.REMOVED:
        raise Refused(f"worker {name!r} was removed already")
    connection.execute(delete(tokens).where(tokens.c.worker == name))
    move_worker(connection, row, WorkerState.REMOVED, f"removed by {by}", now)
    end_worker_claims(connection, name, but_session="", now=now, why=f"worker {name!r} was removed")
    close_notice(connection, f"worker:{name}", now)
    news_of(connection).dispatch = True


def ask_update(connection: Connection, name: str, *, by: str, now: datetime) -> str:
    """Ask a worker to change to the fleet's build; returns that build. It hears of it with its next
    heartbeat."""
    row = get_worker(connection, name)
    build = fleet_value(connection, "build")
    if row.build == build:
        raise Refused(f"worker {name!r} runs the fleet's build {build} already")
    if row.state in (WorkerState.OFFLINE, WorkerState.REMOVED):
        raise Refused(f"worker {name!r} is {row.state}: start it first ('d8 worker start' on its machine)")
    if not row.can_update:
        raise Refused(
            f"worker {name!r} was started bare and cannot change its own code: start it there with "
            f"'d8 worker start', or bring its code to the master's by hand"
        )
    connection.execute(update(workers).where(workers.c.name == name).values(update_to=build, update_error=""))
    record_event(connection, "worker_update_asked", now, worker=name, build=build, by=by)
    close_notice(connection, f"worker:{name}", now)
    return build


def outdated_workers(connection: Connection) -> list[str]:
    """Names of those that could be asked to update."""
    query = select(workers.c.name).where(
        workers.c.state == WorkerState.WRONG_BUILD, workers.c.can_update.is_(True)
    )
    return list(connection.execute(query.order_by(workers.c.name)).scalars())

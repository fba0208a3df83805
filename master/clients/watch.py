"""The watcher: takes pending clients in progress, each exactly once, and closes those whose run is over."""

from __future__ import annotations

import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, select, update

from master.clients.states import ClientState
from master.clients.store import move_client
from master.clients.tables import clients
from master.dispatch.states import RunState
from master.store.tables import runs

FLOW = "client"


class StartRun(Protocol):
    """Creates a run in the caller's transaction; the same idempotency key gives the same run."""

    def __call__(
        self, connection: Connection, flow: str, params: dict[str, Any], *, idempotency_key: str
    ) -> str: ...


def take_pending(connection: Connection, start_run: StartRun, *, now: datetime.datetime) -> list[str]:
    """Move every pending client to ``in_progress`` and start its run; the ids of those taken here.

    Two watchers at once take each client once: the update counts only for the one that finds it
    still pending, and the run is created in the same transaction, under the client's own key.
    """
    pending = (
        connection.execute(
            select(clients.c.id)
            .where(clients.c.state == ClientState.PENDING.value)
            .order_by(clients.c.created_at)
        )
        .scalars()
        .all()
    )
    taken = []
    for client_id in pending:
        changed = connection.execute(
            update(clients)
            .where(clients.c.id == client_id, clients.c.state == ClientState.PENDING.value)
            .values(state=ClientState.IN_PROGRESS.value, started_at=now, note="work has begun")
        )
        if changed.rowcount != 1:
            continue
        run_id = start_run(connection, FLOW, {"client_id": client_id}, idempotency_key=f"client:{client_id}")
        connection.execute(update(clients).where(clients.c.id == client_id).values(run_id=run_id))
        taken.append(client_id)
    return taken


def close_orphans(connection: Connection, *, now: datetime.datetime) -> list[str]:
    """Fail the clients whose run ended without them (cancelled, or failed outside of its flow)."""
    rows = connection.execute(
        select(clients.c.id, clients.c.run_id, runs.c.state, runs.c.error)
        .join(runs, runs.c.id == clients.c.run_id)
        .where(
            clients.c.state == ClientState.IN_PROGRESS.value,
            runs.c.state.in_((RunState.FAILED, RunState.CANCELLED)),
        )
    ).all()
    for client_id, run_id, state, error in rows:
        move_client(
            connection,
            client_id,
            ClientState.FAILED,
            now,
            note=f"its run {run_id} was {state}: {error or 'no reason was given'}",
        )
    return [client_id for client_id, *_ in rows]

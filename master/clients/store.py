"""Reading and writing clients. Each function takes a connection and is part of its caller's transaction."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from master.clients.brief import brief_digest
from master.clients.naming import project_id
from master.clients.states import ClientState, check_move
from master.clients.tables import clients
from master.store.order import later_of
from tasks.client_brief import Brief
from tasks.errors import NotFound
from tasks.record import Record


class Client(Record):
    """One client project as it stands."""

    id: str
    name: str
    state: ClientState
    note: str
    source: str
    brief_sha256: str
    ordinal: int
    run_id: str
    folder: str
    created_at: datetime.datetime
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None


_COLUMNS = [clients.c[name] for name in Client.model_fields]


class Added(Record):
    client: Client
    #: False when this brief was there already and was not to be delivered again.
    new: bool


def add_client(
    connection: Connection, brief: Brief, now: datetime.datetime, *, source: str = "", again: bool = False
) -> Added:
    """Put a client on the list as ``pending``. The same brief twice is one client, unless ``again``."""
    digest = brief_digest(brief)
    latest = (
        connection.execute(
            select(*_COLUMNS)
            .where(clients.c.brief_sha256 == digest)
            .order_by(clients.c.ordinal.desc())
            .limit(1)
        )
        .mappings()
        .first()
    )
    if latest is not None and not again:
        return Added(client=_client(latest), new=False)
    ordinal = 1 if latest is None else latest["ordinal"] + 1
    identity = project_id(brief.name, digest, ordinal)
    connection.execute(
        insert(clients).values(
            id=identity,
            name=brief.name,
            state=ClientState.PENDING.value,
            note="",
            source=source[:200],
            brief=brief.model_dump(mode="json"),
            brief_sha256=digest,
            ordinal=ordinal,
            run_id="",
            folder="",
            created_at=now,
        )
    )
    return Added(client=get_client(connection, identity), new=True)


def list_clients(
    connection: Connection, limit: int = 100, *, after: tuple[datetime.datetime, str] | None = None
) -> list[Client]:
    """The newest first; ``after``: those behind the one of this time and id."""
    query = select(*_COLUMNS).order_by(clients.c.created_at.desc(), clients.c.id).limit(limit)
    if after is not None:
        query = query.where(later_of((clients.c.created_at, "desc"), (clients.c.id, "asc"), after=after))
    return [_client(row) for row in connection.execute(query).mappings()]


def get_client(connection: Connection, client_id: str) -> Client:
    """The client of this id, or of the only id that begins so. ``NotFound`` otherwise."""
    row = connection.execute(select(*_COLUMNS).where(clients.c.id == client_id)).mappings().first()
    if row is not None:
        return _client(row)
    starts = func.substr(clients.c.id, 1, len(client_id)) == client_id
    rows = connection.execute(select(*_COLUMNS).where(starts).limit(2)).mappings().all() if client_id else []
    if len(rows) == 1:
        return _client(rows[0])
    what = "several clients have ids that begin with" if rows else "no client has the id"
    raise NotFound(f"{what} {client_id[:60]!r}: 'd8 client list' shows them")


def get_brief(connection: Connection, client_id: str) -> Brief:
    row = connection.execute(select(clients.c.brief).where(clients.c.id == client_id)).first()
    if row is None:
        raise NotFound(f"no client has the id {client_id[:60]!r}: 'd8 client list' shows them")
    return Brief.model_validate(row.brief)


def move_client(
    connection: Connection,
    client_id: str,
    new: ClientState,
    now: datetime.datetime,
    *,
    note: str = "",
    folder: str = "",
) -> None:
    """Move a client to a new state; a move that is not allowed raises ``MoveNotAllowed``.

    To move it where it is already changes nothing, so that a repeated pass is harmless.
    """
    old = get_client(connection, client_id).state
    if old == new:
        return
    check_move(client_id, old, new)
    values: dict[str, Any] = {"state": new.value, "note": note[:2000]}
    if new == ClientState.IN_PROGRESS:
        values["started_at"] = now
    else:
        values["finished_at"] = now
    if folder:
        values["folder"] = folder
    connection.execute(
        update(clients).where(clients.c.id == client_id, clients.c.state == old.value).values(**values)
    )


def resume_client(connection: Connection, client_id: str, now: datetime.datetime) -> None:
    """Take a failed client up again: its run was retried and goes on."""
    if get_client(connection, client_id).state == ClientState.FAILED:
        move_client(connection, client_id, ClientState.IN_PROGRESS, now, note="its run is tried again")


def note_client(connection: Connection, client_id: str, note: str) -> None:
    """Say in one line what the project waits for."""
    connection.execute(update(clients).where(clients.c.id == client_id).values(note=note[:2000]))


def _client(row: RowMapping) -> Client:
    return Client.model_validate(dict(row))

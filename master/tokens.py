"""Bearer tokens: 256 random bits, kept by their holder; the database knows only the digest."""

from __future__ import annotations

import enum
import hashlib
import secrets
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select

from master.store.artifacts import write_whole
from master.store.tables import tokens
from tasks.files import read_text_or_empty
from tasks.record import Record


class Scope(enum.StrEnum):
    OWNER = "owner"
    WORKER = "worker"
    #: Good for one thing, once: to become a worker.
    INVITE = "invite"


class Principal(Record):
    """Who calls."""

    scope: Scope
    name: str
    #: The only worker that may be spoken for; "" for any.
    worker: str = ""


def digest_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def find_principal(connection: Connection, token: str, *, now: datetime) -> Principal | None:
    """Whose token this is, or None."""
    row = connection.execute(select(tokens).where(tokens.c.digest == digest_token(token))).first()
    if row is None or (row.expires_at is not None and row.expires_at <= now):
        return None
    return Principal(scope=Scope(row.scope), name=row.name, worker=row.worker)


def create_token(
    connection: Connection,
    scope: Scope,
    name: str,
    *,
    now: datetime,
    expires_at: datetime | None = None,
    worker: str = "",
) -> str:
    """A new token; this is the only time that it can be seen."""
    token = _new_token()
    _keep(connection, token, scope, name, now, expires_at, worker)
    return token


def use_token_once(connection: Connection, token: str, scope: Scope, *, now: datetime) -> Principal | None:
    """Whose token of this scope it is, or None; it is worth nothing afterwards."""
    principal = find_principal(connection, token, now=now)
    if principal is None or principal.scope is not scope:
        return None
    used = connection.execute(delete(tokens).where(tokens.c.digest == digest_token(token)))
    # Of two that try at the same time, one has deleted it.
    return principal if used.rowcount else None


def local_token(connection: Connection, scope: Scope, path: Path, *, now: datetime) -> str:
    """The token that this machine's own programs read from ``path`` (mode 0600); made when missing."""
    token = read_text_or_empty(path)
    if not token:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        token = _new_token()
        write_whole(path, token.encode() + b"\n", mode=0o600)
    if find_principal(connection, token, now=now) is None:
        _keep(connection, token, scope, f"local-{scope}", now, None)
    return token


def _new_token() -> str:
    """Never with a hyphen in front: as an argument of a command it would be taken for an option."""
    return f"d8{secrets.token_urlsafe(32)}"


def _keep(
    connection: Connection,
    token: str,
    scope: Scope,
    name: str,
    now: datetime,
    expires_at: datetime | None,
    worker: str = "",
) -> None:
    connection.execute(
        insert(tokens).values(
            digest=digest_token(token),
            scope=scope,
            name=name,
            worker=worker,
            created_at=now,
            expires_at=expires_at,
        )
    )

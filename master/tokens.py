"""Bearer tokens: 256 random bits, kept by their holder; the database knows only the digest."""

from __future__ import annotations

import enum
import hashlib
import secrets
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, delete, insert, or_, select

from master.store.artifacts import write_whole
from master.store.tables import tokens
from tasks.errors import InvalidInput, NotFound, Refused
from tasks.files import read_text_or_empty
from tasks.record import Record


class Scope(enum.StrEnum):
    OWNER = "owner"
    WORKER = "worker"
    #: Good for one thing, once: to become a worker.
    INVITE = "invite"
    #: Reads ``/metrics`` and nothing else: for Prometheus.
    METRICS = "metrics"
    #: Good for one thing, once: to become an owner.
    WELCOME = "welcome"


#: The token of the master's own machine, in its home.
LOCAL_OWNER = "local-owner"
#: One-time codes, and the sessions that they open, go by this name.
DASHBOARD = "dashboard"
#: Names that the master gives.
RESERVED = (LOCAL_OWNER, "local-worker", DASHBOARD)


class Principal(Record):
    """Who calls."""

    scope: Scope
    name: str
    #: The only worker that may be spoken for; "" for any.
    worker: str = ""
    #: The owner whose session this is; "" for a token, and for a session that a code from the terminal opened.
    owner: str = ""
    #: What that session is called by; "" for a token.
    session: str = ""

    @property
    def identity(self) -> str:
        """How approvals and ``policy.toml`` know who this is."""
        return f"owner:{self.owner}" if self.owner else f"token:{self.name}"


class KnownToken(Record):
    """What is known of a token: not the token."""

    name: str
    scope: Scope
    created_at: datetime
    expires_at: datetime | None


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


def name_token(connection: Connection, scope: Scope, name: str, *, now: datetime) -> str:
    """A new token of the owner's, under a name by which it can be revoked. ``Refused`` when the name is taken."""
    if scope not in (Scope.OWNER, Scope.METRICS):
        raise InvalidInput(
            f"a token of scope {scope} cannot be made so: choose {Scope.METRICS} or {Scope.OWNER}"
        )
    if name in RESERVED or any(known.name == name for known in list_tokens(connection, now=now)):
        raise Refused(
            f"there is a token called {name!r} already: choose another name, or take that one away with "
            f"'d8 token revoke {name}'"
        )
    return create_token(connection, scope, name, now=now)


def list_tokens(connection: Connection, *, now: datetime) -> list[KnownToken]:
    """The owner's tokens and one-time codes that are good now, oldest first; workers' are seen as workers."""
    mine = tokens.c.scope.in_((Scope.OWNER, Scope.METRICS))
    alive = or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now)
    return [
        KnownToken(name=row.name, scope=row.scope, created_at=row.created_at, expires_at=row.expires_at)
        for row in connection.execute(select(tokens).where(mine, alive).order_by(tokens.c.created_at))
    ]


def revoke_token(connection: Connection, name: str) -> int:
    """Take the owner's tokens of this name away; returns how many. ``NotFound``; ``Refused`` for the one that
    this machine's command line uses."""
    if name == LOCAL_OWNER:
        raise Refused(f"{name!r} is the token of this machine's own commands: 'd8 admin reset' replaces it")
    gone = connection.execute(
        delete(tokens).where(tokens.c.name == name, tokens.c.scope.in_((Scope.OWNER, Scope.METRICS)))
    ).rowcount
    if not gone:
        raise NotFound(f"no token is called {name!r}: 'd8 token list' shows them")
    return gone


def reset_owner(connection: Connection, path: Path, *, now: datetime) -> int:
    """Every token and code of the owners is worth nothing from now on; ``path`` gets a new token.
    Returns how many were taken away. Workers and scrapers keep theirs."""
    gone = connection.execute(delete(tokens).where(tokens.c.scope.in_((Scope.OWNER, Scope.WELCOME)))).rowcount
    path.unlink(missing_ok=True)
    local_token(connection, Scope.OWNER, path, now=now)
    return gone


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

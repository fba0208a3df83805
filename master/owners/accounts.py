"""Owners: made with a one-time code, known by a name, let in by a password."""

from __future__ import annotations

import re
import secrets
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, insert, select, update

from master.events import record_event
from master.owners.tables import owners, sessions
from master.store.tables import tokens
from master.tokens import RESERVED, Principal, Scope, digest_token, use_token_once
from tasks.errors import InvalidInput, NotFound, Refused
from tasks.record import Record

#: How long a code to become an owner is good.
WELCOME = timedelta(hours=1)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
#: Crockford's alphabet: what is read aloud or typed from a screen is not mistaken.
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans("OIL", "011")
_GROUPS, _GROUP = 4, 5


class WrongCode(Refused):
    """A code that is unknown, used or too old."""


class Owner(Record):
    name: str
    has_password: bool
    created_at: datetime
    password_at: datetime | None


def has_owner(connection: Connection) -> bool:
    return connection.execute(select(func.count()).select_from(owners)).scalar_one() > 0


def list_owners(connection: Connection) -> list[Owner]:
    """In the order in which they became owners."""
    rows = connection.execute(select(owners).order_by(owners.c.created_at, owners.c.name))
    return [
        Owner(
            name=row.name,
            has_password=bool(row.password),
            created_at=row.created_at,
            password_at=row.password_at,
        )
        for row in rows
    ]


def get_owner(connection: Connection, name: str) -> Owner:
    for owner in list_owners(connection):
        if owner.name == name:
            return owner
    raise NotFound(f"no owner is called {name[:63]!r}: 'd8 admin owners' and the page Settings list them")


def find_password(connection: Connection, name: str) -> str:
    """The digest of this owner's password; "" when there is no such owner, or they have none."""
    return connection.execute(select(owners.c.password).where(owners.c.name == name)).scalar() or ""


def welcome_code(connection: Connection, *, by: str, now: datetime) -> str:
    """A new code with which somebody becomes an owner, once, within ``WELCOME``: 100 random bits, fit to be
    typed. Before there is any owner, only the newest is good."""
    if not has_owner(connection):
        connection.execute(delete(tokens).where(tokens.c.scope == Scope.WELCOME))
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
    code = "-".join(groups)
    connection.execute(
        insert(tokens).values(
            digest=digest_token(_as_digested(code)),
            scope=Scope.WELCOME,
            name=by[:100],
            worker="",
            created_at=now,
            expires_at=now + WELCOME,
        )
    )
    return code


def take_code(connection: Connection, code: str, *, now: datetime) -> Principal:
    """Use a welcome code up; who made it. ``WrongCode``."""
    found = use_token_once(connection, _as_digested(code), Scope.WELCOME, now=now)
    if found is None:
        raise WrongCode(
            "this code is wrong, was used, or is older than an hour: 'd8 admin code' on the master's machine "
            "prints another, and so does an owner under Settings"
        )
    return found


def create_owner(connection: Connection, name: str, password: str, *, invited_by: str, now: datetime) -> None:
    """``password``: its digest. ``InvalidInput`` for a name that cannot be, ``Refused`` for one that is taken."""
    check_name(name)
    known = {owner.name for owner in list_owners(connection)}
    if name in known:
        raise Refused(f"there is an owner called {name!r} already: choose another name")
    connection.execute(
        insert(owners).values(
            name=name, password=password, created_at=now, password_at=now if password else None
        )
    )
    record_event(connection, "owner_created", now, owner=name, by=invited_by)


def check_name(name: str) -> str:
    """``InvalidInput`` for a name that no owner may have."""
    if not _NAME.fullmatch(name) or name in RESERVED:
        raise InvalidInput(
            f"{name[:63]!r} cannot be an owner's name: use small letters, digits, '.', '_' and '-', such as 'ana'"
        )
    return name


def set_password(connection: Connection, name: str, password: str, *, by: str, now: datetime) -> None:
    """``password``: its digest; "" takes it away. ``NotFound``."""
    values = {"password": password, "password_at": now if password else None}
    if not connection.execute(update(owners).where(owners.c.name == name).values(**values)).rowcount:
        get_owner(connection, name)
    record_event(connection, "owner_password_changed", now, owner=name, by=by)


def renew_digest(connection: Connection, name: str, before: str, password: str) -> None:
    """The same password under today's parameters, unless it was changed meanwhile."""
    same = (owners.c.name == name, owners.c.password == before)
    connection.execute(update(owners).where(*same).values(password=password))


def remove_owner(connection: Connection, name: str, *, by: str, now: datetime) -> int:
    """Their account and sessions end; returns how many sessions. ``Refused`` for the last one."""
    get_owner(connection, name)
    if len(list_owners(connection)) == 1:
        raise Refused(f"{name!r} is the only owner: invite another one first")
    connection.execute(delete(owners).where(owners.c.name == name))
    gone = connection.execute(delete(sessions).where(sessions.c.owner == name)).rowcount
    record_event(connection, "owner_removed", now, owner=name, by=by)
    return gone


def _as_digested(code: str) -> str:
    """A code however it was typed: without hyphens and blanks, O for 0 and l for 1."""
    return re.sub(r"[\s-]", "", code[:100]).upper().translate(_READ_AS)

"""When an owner is locked out, or somebody else is in: everything begins anew, from the terminal."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, delete, update

from master.events import record_event
from master.owners.tables import owners, sessions
from master.tokens import reset_owner
from tasks.record import Record


class Reset(Record):
    tokens: int
    sessions: int
    passwords: int


def reset_owners(connection: Connection, path: Path, *, now: datetime) -> Reset:
    """End every session, owner token and code, and take every password away; accounts keep their names.
    ``path`` gets this machine's new token. Passwords go, too: who resets cannot know which of them is known
    to others."""
    gone = reset_owner(connection, path, now=now)
    ended = connection.execute(delete(sessions)).rowcount
    taken = connection.execute(update(owners).where(owners.c.password != "").values(password="")).rowcount
    done = Reset(tokens=gone, sessions=ended, passwords=taken)
    record_event(connection, "owner_reset", now, **done.model_dump())
    return done

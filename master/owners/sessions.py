"""Sessions at the dashboard: a random token in a cookie, and here what it can be recognized by."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select, update

from master.events import record_event
from master.owners.tables import sessions
from master.tokens import digest_token
from tasks.errors import NotFound
from tasks.record import Record

#: A session ends after so long, however much it is used, and earlier when it is not used for ``IDLE``.
ABSOLUTE = timedelta(days=30)
IDLE = timedelta(days=7)
#: Noted at most so often: each note is a write on the master's disk.
_NOTED = timedelta(minutes=10)
#: Who uses a session that a code from the terminal opened.
TERMINAL = ""
_ID = 16


class Session(Record):
    #: By which it can be ended: not its token.
    id: str
    owner: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str
    agent: str


def open_session(
    connection: Connection, owner: str, *, now: datetime, address: str = "", agent: str = "", how: str
) -> str:
    """A new session's token; this is the only time that it can be seen. ``how``: by password or code."""
    connection.execute(delete(sessions).where(_over(now)))
    token = f"d8s{secrets.token_urlsafe(32)}"
    connection.execute(
        insert(sessions).values(
            digest=digest_token(token),
            owner=owner,
            created_at=now,
            seen_at=now,
            expires_at=now + ABSOLUTE,
            address=address[:64],
            agent=agent[:200],
        )
    )
    record_event(connection, "login", now, owner=owner, how=how, address=address[:64])
    return token


def find_session(connection: Connection, token: str, *, now: datetime) -> Session | None:
    row = connection.execute(
        select(sessions).where(sessions.c.digest == digest_token(token), ~_over(now))
    ).first()
    return None if row is None else _session(row)


def touch_session(connection: Connection, session: Session, *, now: datetime) -> bool:
    """Note that it is used; whether that was due."""
    if not is_due(session, now):
        return False
    connection.execute(update(sessions).where(_is(session.id)).values(seen_at=now))
    return True


def is_due(session: Session, now: datetime) -> bool:
    return now - session.seen_at >= _NOTED


def list_sessions(connection: Connection, *, now: datetime) -> list[Session]:
    """Those that are good now, the one used last first."""
    rows = connection.execute(select(sessions).where(~_over(now)).order_by(sessions.c.seen_at.desc()))
    return [_session(row) for row in rows]


def end_session(connection: Connection, session_id: str, *, by: str, now: datetime) -> None:
    """``NotFound``: it has ended already."""
    row = connection.execute(delete(sessions).where(_is(session_id)).returning(sessions.c.owner)).first()
    if row is None:
        raise NotFound(f"there is no session {session_id[:_ID]!r}: it has ended already")
    record_event(connection, "session_ended", now, owner=row.owner, by=by)


def end_other_sessions(
    connection: Connection, keep: str, *, owner: str | None = None, by: str, now: datetime
) -> int:
    """All but the one called ``keep``, of one owner or of all (None); returns how many."""
    which: list[ColumnElement[bool]] = [~_is(keep)] if keep else []
    if owner is not None:
        which.append(sessions.c.owner == owner)
    gone = connection.execute(delete(sessions).where(*which)).rowcount
    if gone:
        record_event(connection, "sessions_ended", now, count=gone, by=by)
    return gone


def end_session_of(connection: Connection, token: str) -> bool:
    """Log out; whether there was anything to end."""
    return connection.execute(delete(sessions).where(sessions.c.digest == digest_token(token))).rowcount > 0


def _over(now: datetime) -> ColumnElement[bool]:
    return or_(sessions.c.expires_at <= now, sessions.c.seen_at <= now - IDLE)


def _is(session_id: str) -> ColumnElement[bool]:
    # Sixteen digits are chance enough; a shorter text, or a pattern, names none.
    wanted = session_id if len(session_id) == _ID and session_id.isalnum() else "-"
    return sessions.c.digest.startswith(wanted, autoescape=True)


def _session(row: object) -> Session:
    values = dict(row._mapping)  # type: ignore[attr-defined]  # noqa: SLF001
    return Session(id=values.pop("digest")[:_ID], **values)

"""What happened, in order: written in the same transaction as the thing itself."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from master.store.tables import events

_INSERT = insert(events)


def record_event(
    connection: Connection,
    name: str,
    now: datetime,
    *,
    run_id: str = "",
    step_id: int | None = None,
    worker: str = "",
    **data: Any,
) -> None:
    """Append one event. ``name`` is a constant such as ``step_claimed``; the rest are its fields."""
    connection.execute(
        _INSERT,
        {"at": now, "name": name, "run_id": run_id, "step_id": step_id, "worker": worker, "data": data},
    )


def events_after(
    connection: Connection, seq: int, *, run_id: str = "", name: str = "", limit: int = 500
) -> list[dict[str, Any]]:
    """Events with a larger number than ``seq``, oldest first, of one run or of all, of one name or of all."""
    query = select(events).where(events.c.seq > seq).order_by(events.c.seq).limit(limit)
    if run_id:
        query = query.where(events.c.run_id == run_id)
    if name:
        query = query.where(events.c.name == name)
    return [row._asdict() for row in connection.execute(query)]


def newest_events(
    connection: Connection, limit: int = 20, *, before: int | None = None, run_id: str = "", name: str = ""
) -> list[dict[str, Any]]:
    """The latest events, newest first; ``before``: those with a smaller number."""
    query = select(events).order_by(events.c.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(events.c.seq < before)
    if run_id:
        query = query.where(events.c.run_id == run_id)
    if name:
        query = query.where(events.c.name == name)
    return [row._asdict() for row in connection.execute(query)]


#: Far behind, what matters is that there is news, not each piece of it.
_MOST_NEWS = 500
_NEWEST = select(func.max(events.c.seq))


@dataclasses.dataclass(frozen=True, kw_only=True)
class News:
    """What has happened since some event, for who only needs to know where to look again."""

    #: The number of the newest event; 0 where there is none.
    seq: int
    events: int
    runs: frozenset[str]
    #: Other runs may have changed, too.
    more: bool = False


def news_after(connection: Connection, seq: int | None) -> News:
    """What is new since ``seq``; with None, only where the events end."""
    if seq is not None:
        query = select(events.c.seq, events.c.run_id).where(events.c.seq > seq)
        rows = connection.execute(query.order_by(events.c.seq).limit(_MOST_NEWS)).all()
        if not rows:
            return News(seq=seq, events=0, runs=frozenset())
        if len(rows) < _MOST_NEWS:
            runs = frozenset(row.run_id for row in rows if row.run_id)
            return News(seq=rows[-1].seq, events=len(rows), runs=runs)
    newest = connection.execute(_NEWEST).scalar() or 0
    return News(seq=newest, events=0, runs=frozenset(), more=True)

"""From the events to deliveries: each event becomes one for each webhook that wants it, exactly once.

The log of events is the outbox: what is not handled yet lies behind the webhook's ``seen``, and moves into
deliveries together with it, in one transaction.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from master.events.follow import matches, newest_seq, settled_seq
from master.store import Database
from master.store.tables import events
from master.webhooks.store import delivery_values, new_id
from master.webhooks.tables import webhook_deliveries, webhooks

#: Events handled in one transaction.
_MOST = 500
_INSERT = {
    name: dialect.insert(webhook_deliveries).on_conflict_do_nothing(
        index_elements=["webhook_id", "event_seq"]
    )
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}


def fan_out(database: Database, now: datetime) -> int:
    """Make the deliveries of what has happened; returns how many. Nothing is written while nobody is behind."""
    made = 0
    while _someone_is_behind(database):
        with database.write() as connection:
            # By itself: what it holds off goes on at once.
            horizon = settled_seq(connection)
        with database.write() as connection:
            rows = connection.execute(
                select(webhooks).where(webhooks.c.enabled, webhooks.c.seen < horizon)
            ).all()
            made += sum(_advance(connection, row, horizon, now) for row in rows)
        if not rows:
            break
    return made


def _someone_is_behind(database: Database) -> bool:
    with database.read() as connection:
        slowest = connection.execute(select(func.min(webhooks.c.seen)).where(webhooks.c.enabled)).scalar()
        if slowest is None:
            return False
        return newest_seq(connection) > int(slowest)


def _advance(connection: Connection, webhook: Row[Any], horizon: int, now: datetime) -> int:
    query = select(events).where(events.c.seq > webhook.seen, events.c.seq <= horizon)
    found = connection.execute(query.order_by(events.c.seq).limit(_MOST)).all()
    seen = found[-1].seq if len(found) == _MOST else horizon
    moved = connection.execute(
        update(webhooks).where(webhooks.c.id == webhook.id, webhooks.c.seen == webhook.seen).values(seen=seen)
    )
    wanted = [event._asdict() for event in found if matches(event.name, webhook.events)]
    if not moved.rowcount or not wanted:
        return 0
    values = [delivery_values(webhook.id, new_id(), event["name"], event, now) for event in wanted]
    connection.execute(_INSERT[connection.dialect.name], values)
    return len(values)

"""Stop and start dispatch: no new ticket goes out while it is paused; what runs goes on."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from master.dispatch.publish import fleet_value, set_fleet_value
from master.events import record_event
from master.store import news_of


def pause_dispatch(connection: Connection, *, paused: bool, by: str, now: datetime) -> bool:
    """Pause or resume; True when that changed something."""
    if is_paused(connection) == paused:
        return False
    set_fleet_value(connection, "paused", "yes" if paused else "")
    record_event(connection, "dispatch_paused" if paused else "dispatch_resumed", now, by=by)
    news_of(connection).dispatch = True
    return True


def is_paused(connection: Connection) -> bool:
    return fleet_value(connection, "paused") == "yes"

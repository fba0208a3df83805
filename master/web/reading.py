"""What several pages read, in one consistent view of the database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from master.api.status import show_status
from master.events import newest_events
from master.settings import Settings
from master.store.tables import steps
from master.web.views import collapse_events

#: Events read for a short list of them, since claims are left out and neighbors joined.
EVENTS_READ = 300


def read_frame(connection: Connection, settings: Settings, build: str, now: datetime) -> dict[str, Any]:
    """What every page's head shows."""
    newest = newest_events(connection, 1)
    status = show_status(connection, settings, build, now)
    return {"status": status, "seq": newest[0]["seq"] if newest else 0, "now": now}


def name_steps(connection: Connection, newest: Iterable[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """Events joined for reading, each with the key of its step ("" without one)."""
    rows = collapse_events(newest, most)
    ids = {row["step_id"] for row in rows if row["step_id"] is not None}
    found = connection.execute(select(steps.c.id, steps.c.key).where(steps.c.id.in_(ids)))
    keys = {row.id: row.key for row in found}
    return [{**row, "step": keys.get(row["step_id"], "")} for row in rows]

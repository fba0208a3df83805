"""What only ever grows: attempts, durations, leases that ran out. Counted from the events that are new since the
last look, so that a million old ones cost nothing; the counts begin anew with the process, as Prometheus expects.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Float, and_, func, select, type_coerce

from master.store.tables import events, steps

#: A transaction that takes longer than this to commit after its event's time may go uncounted: on Postgres a
#: lower number can become visible after a higher one.
_SETTLED = timedelta(seconds=5)
#: Events that one look counts at most; the rest is for the next.
MOST_EVENTS = 50_000

_NEWEST = select(func.coalesce(func.max(events.c.seq), 0))


class Counted:
    """Counts of this process. Thread-safe: two may scrape at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen = 0
        #: "done" or a kind of failure.
        self.attempts: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        #: Seconds by task, of the attempts that succeeded.
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.expired_leases = 0

    def begin(self, connection: Connection) -> None:
        """Count what happens from here on."""
        self._seen = connection.execute(_NEWEST).scalar_one()

    def look(self, connection: Connection, now: datetime) -> None:
        """Count what has happened since the last look, but for the latest few seconds."""
        with self._lock:
            until = self._settled_until(connection, now)
            if until <= self._seen:
                return
            new = and_(events.c.seq > self._seen, events.c.seq <= until)
            self._count_done(connection, new)
            self._count_failed(connection, new)
            self._seen = until

    def _settled_until(self, connection: Connection, now: datetime) -> int:
        """The last event to count: those after the first that is too young wait."""
        window = (
            select(events.c.seq, events.c.at)
            .where(events.c.seq > self._seen)
            .order_by(events.c.seq)
            .limit(MOST_EVENTS)
            .subquery()
        )
        young, last = connection.execute(
            select(
                func.min(window.c.seq).filter(window.c.at > now - _SETTLED),
                func.coalesce(func.max(window.c.seq), self._seen),
            )
        ).one()
        return int(last if young is None else young - 1)

    def _count_done(self, connection: Connection, new: Any) -> None:
        rows = connection.execute(
            select(
                steps.c.task,
                func.count().label("steps"),
                func.sum(_seconds(steps.c.finished_at) - _seconds(steps.c.claimed_at)).label("seconds"),
            )
            .select_from(events.join(steps, steps.c.id == events.c.step_id))
            .where(new, events.c.name == "step_done", steps.c.task != "")
            .group_by(steps.c.task)
        )
        for task, count, seconds in rows:
            self.attempts["done"] += count
            self.steps[task] += count
            # A clock that was set back meanwhile must not make a counter fall.
            self.seconds[task] += max(0.0, seconds or 0.0)

    def _count_failed(self, connection: Connection, new: Any) -> None:
        failed = select(events.c.data).where(new, events.c.name == "attempt_failed")
        for (data,) in connection.execute(failed):
            self.attempts[str(data.get("failure", "unknown"))] += 1
        expired = select(func.count()).select_from(events).where(new, events.c.name == "lease_expired")
        self.expired_leases += connection.execute(expired).scalar_one()


def _seconds(moment: Any) -> Any:
    """Times are kept as seconds since the epoch."""
    return type_coerce(moment, Float)

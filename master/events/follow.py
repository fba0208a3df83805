"""Following the events: which of those that can be read are certain to have none before them that cannot yet.

Numbers are given when a row is inserted and seen when its transaction commits. On Postgres, where several write at
the same time, a smaller number may become visible after a larger one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, text

from master.store.tables import events
from tasks.errors import InvalidInput

#: No transaction that writes events takes so long; a number that is missing after it was rolled back.
PATIENCE = timedelta(seconds=10)
_PATTERN = re.compile(r"[a-z0-9_*]{1,100}")


def settled(found: Sequence[Mapping[str, Any]], after: int, now: datetime) -> Sequence[Mapping[str, Any]]:
    """The beginning of ``found`` (all events behind ``after``, oldest first) that nothing can be inserted into any
    more: without a gap, or with gaps that are too old to be filled."""
    expected = after + 1
    for index, event in enumerate(found):
        if event["seq"] != expected and event["at"] > now - PATIENCE:
            return found[:index]
        expected = event["seq"] + 1
    return found


def settled_seq(connection: Connection) -> int:
    """The largest number below which no event will appear any more; exact. In a write that writes nothing else.

    On Postgres it waits for the transactions that are writing events and holds off others for this read, at
    most a second; ``Unhealthy`` (as any refusal of the database) when that was not enough.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = '1s'"))
        connection.execute(text("LOCK TABLE events IN SHARE MODE"))
    return newest_seq(connection)


def newest_seq(connection: Connection) -> int:
    """The largest number of an event that can be seen; 0 before the first."""
    return int(connection.execute(select(func.coalesce(func.max(events.c.seq), 0))).scalar_one())


def check_patterns(patterns: Collection[str]) -> tuple[str, ...]:
    """``run_done``, ``run_*`` or ``*``; ``InvalidInput`` for anything else."""
    for pattern in patterns:
        if _PATTERN.fullmatch(pattern) is None:
            raise InvalidInput(
                f"{pattern[:60]!r} names no events: write a name such as run_done, or a beginning such as run_*"
            )
    return tuple(sorted(set(patterns)))


def matches(name: str, patterns: Collection[str]) -> bool:
    """Whether one of the patterns is this name's, or there is none."""
    return not patterns or any(
        re.fullmatch(pattern.replace("*", ".*"), name) is not None for pattern in patterns
    )

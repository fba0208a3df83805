"""The machines' numbers over time: a reading a minute for a day, one a quarter of an hour for a month.

A heartbeat adds to the minute that is gathered in the worker's own row, which it writes anyway; when
the minute is over, it becomes one row here. A duty makes quarters of an hour of the minutes and takes
away what is too old: twenty workers have about ninety thousand rows, ten megabytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Float, Row, delete, select, type_coerce
from sqlalchemy.dialects import postgresql, sqlite

from master.dispatch.publish import fleet_value, set_fleet_value
from master.fleet.readings import (
    Gathered,
    Reading,
    Series,
    combine,
    gather,
    pack,
    read_hardware,
    unpack,
    unpack_series,
)
from master.fleet.tables import host_samples
from master.store.tables import workers
from tasks.protocol import Hardware
from tasks.record import Record

MINUTE_S = 60
QUARTER_S = 900
#: How long a row of each span is kept. A quarter of an hour more than a chart shows.
KEPT = {
    MINUTE_S: timedelta(days=1, seconds=QUARTER_S),
    QUARTER_S: timedelta(days=31),
}
_LATE = timedelta(seconds=150)
_ROLLED = "samples_rolled"
_INSERT = {
    name: dialect.insert(host_samples).on_conflict_do_nothing()
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}


class Sample(Record):
    """A reading and the time at which its span began."""

    at: datetime
    reading: Reading


def gather_sample(
    connection: Connection, row: Row[Any], hardware: Hardware, *, now: datetime
) -> dict[str, Any]:
    """Add a heartbeat to the worker's minute; returns what its row holds from now on. A minute that is over
    is written down."""
    before = None if row.gathered is None else Gathered.model_validate(row.gathered)
    gathered, over = gather(before, read_hardware(hardware), int(now.timestamp()) // MINUTE_S)
    if over is not None:
        began = datetime.fromtimestamp(over.minute * MINUTE_S, UTC)
        _keep(connection, [_as_row(row.name, MINUTE_S, began, over.reading)])
    return gathered.model_dump(mode="json")


def read_samples(connection: Connection, worker: str, span_s: int, *, since: datetime) -> list[Sample]:
    """A worker's samples of this span that began at ``since`` or later, oldest first."""
    query = (
        select(host_samples.c.at, host_samples.c.reading)
        .where(host_samples.c.worker == worker, host_samples.c.span_s == span_s, host_samples.c.at >= since)
        .order_by(host_samples.c.at)
    )
    return [
        Sample.model_construct(at=row.at, reading=unpack(row.reading)) for row in connection.execute(query)
    ]


def read_series(
    connection: Connection, names: Sequence[str], span_s: int, *, since: datetime
) -> dict[str, Series]:
    """The numbers of these workers, each in the order of time; of those that have any."""
    table = host_samples
    query = (
        select(table.c.worker, type_coerce(table.c.at, Float).label("at_s"), table.c.reading)
        .where(table.c.worker.in_(names), table.c.span_s == span_s, table.c.at >= since)
        .order_by(table.c.worker, table.c.at)
    )
    rows: dict[str, list[tuple[float, str]]] = {}
    for worker, at_s, reading in connection.execute(query):
        rows.setdefault(worker, []).append((at_s, reading))
    return {worker: unpack_series(own) for worker, own in rows.items()}


def forget_samples(connection: Connection, worker: str) -> None:
    """Another machine gets this name."""
    connection.execute(delete(host_samples).where(host_samples.c.worker == worker))


def tend_samples(connection: Connection, *, now: datetime) -> int:
    """Make quarters of an hour of the minutes that are new, and take away what is too old. Returns how many
    rows were made."""
    names = list(connection.execute(select(workers.c.name)).scalars())
    # A minute is written down with the first heartbeat after it.
    end = int((now - _LATE).timestamp()) // QUARTER_S * QUARTER_S
    begin = int(fleet_value(connection, _ROLLED) or 0)
    made = 0
    if begin < end:
        # A clock that was set back, or a master that was away: no further than there are minutes.
        begin = max(begin, end - int(KEPT[MINUTE_S].total_seconds()))
        for name in names:
            made += _roll(connection, name, begin, end)
        set_fleet_value(connection, _ROLLED, str(end))
    for name in names:
        for span_s, kept in KEPT.items():
            old = (host_samples.c.span_s == span_s) & (host_samples.c.at < now - kept)
            connection.execute(delete(host_samples).where(host_samples.c.worker == name, old))
    return made


def _roll(connection: Connection, name: str, begin: int, end: int) -> int:
    since, until = datetime.fromtimestamp(begin, UTC), datetime.fromtimestamp(end, UTC)
    quarters: dict[int, list[tuple[int, Reading]]] = defaultdict(list)
    for sample in read_samples(connection, name, MINUTE_S, since=since):
        if sample.at < until:
            quarters[int(sample.at.timestamp()) // QUARTER_S].append((1, sample.reading))
    _keep(
        connection,
        [
            _as_row(name, QUARTER_S, datetime.fromtimestamp(quarter * QUARTER_S, UTC), combine(readings))
            for quarter, readings in quarters.items()
        ],
    )
    return len(quarters)


def _as_row(worker: str, span_s: int, at: datetime, reading: Reading) -> dict[str, Any]:
    return {"worker": worker, "span_s": span_s, "at": at, "reading": pack(reading)}


def _keep(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """A span that is known stays as it is: a clock that was set back tells nothing new."""
    if rows:
        connection.execute(_INSERT[connection.dialect.name], rows)

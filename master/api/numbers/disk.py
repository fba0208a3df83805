"""What the database takes and writes."""

from __future__ import annotations

import contextlib
from pathlib import Path

from sqlalchemy import Connection, text

from master.store import Database
from master.store.size import database_bytes
from tasks.record import Record


class Disk(Record):
    size_bytes: int
    #: Postgres: its write-ahead log since its statistics began (pg_stat_wal; the whole server's). SQLite: what
    #: this process had written to disk since it began, which is the database and the artifacts that came in.
    written_bytes: int


def read_disk(database: Database, connection: Connection) -> Disk:
    if database.sqlite:
        written = _written_by_us()
    else:
        written = int(connection.execute(text("SELECT wal_bytes FROM pg_stat_wal")).scalar_one())
    return Disk(size_bytes=database_bytes(database, connection), written_bytes=written)


def _written_by_us() -> int:
    """``write_bytes`` of proc(5); 0 where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text_ = Path("/proc/self/io").read_text(encoding="ascii")
        return int(text_.partition("\nwrite_bytes:")[2].split()[0])
    return 0

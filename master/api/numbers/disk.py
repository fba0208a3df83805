"""What the database takes and writes."""

from __future__ import annotations

import contextlib
from pathlib import Path

from sqlalchemy import Connection, text

from master.store import Database
from tasks.record import Record


class Disk(Record):
    size_bytes: int
    #: Postgres: its write-ahead log since its statistics began (pg_stat_wal; the whole server's). SQLite: what
    #: this process had written to disk since it began, which is the database and the artifacts that came in.
    written_bytes: int


def read_disk(database: Database, connection: Connection) -> Disk:
    if database.sqlite:
        path = Path(database.url.database or "")
        files = (path, path.with_name(path.name + "-wal"))
        return Disk(size_bytes=sum(map(_size, files)), written_bytes=_written_by_us())
    size = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    written = connection.execute(text("SELECT wal_bytes FROM pg_stat_wal")).scalar_one()
    return Disk(size_bytes=int(size), written_bytes=int(written))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _written_by_us() -> int:
    """``write_bytes`` of proc(5); 0 where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text_ = Path("/proc/self/io").read_text(encoding="ascii")
        return int(text_.partition("\nwrite_bytes:")[2].split()[0])
    return 0

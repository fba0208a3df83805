"""How large the database is."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text

from master.store.database import Database


def database_bytes(database: Database, connection: Connection) -> int:
    """SQLite: the file and its write-ahead log; Postgres: what it counts for this database."""
    if not database.sqlite:
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    path = Path(database.url.database or "")
    return sum(map(_size, (path, path.with_name(path.name + "-wal"))))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0

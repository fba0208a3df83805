"""What the tests over real databases share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import make_url

from master.capabilities import load_capabilities
from master.store import Database
from master.store.migrate import migrate


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with this release's tables: migrating takes as long as most of these tests."""
    load_capabilities()
    path = tmp_path_factory.mktemp("fresh") / "d8.sqlite3"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path


def copy_fresh(fresh_database: Path, sqlalchemy_url: str) -> None:
    """Put a copy of ``fresh_database`` where this address says."""
    path = Path(str(make_url(sqlalchemy_url).database))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copyfile(fresh_database, path)

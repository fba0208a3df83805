"""The migrations make exactly the tables that the code describes."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from master.capabilities import load_capabilities
from master.store import Database
from master.store.metadata import metadata
from master.store.migrate import migrate
from tasks.errors import Refused


@pytest.fixture
def database(tmp_path: Path) -> Database:
    load_capabilities()
    made = Database(f"sqlite:///{tmp_path / 'd8.sqlite3'}")
    migrate(made)
    return made


def test_migrated_tables_are_those_of_the_code(database: Database) -> None:
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    migrate(database)
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 1


def test_outcomes_never_reuse_a_number(database: Database) -> None:
    """Flows order what happened by it, also after a retry deleted the newest outcome."""
    with database.read() as connection:
        made = connection.execute(text("SELECT sql FROM sqlite_master WHERE name = 'outcomes'")).scalar()
    assert "AUTOINCREMENT" in str(made)


def test_database_of_a_newer_release_is_refused(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Refused, match="newer release"):
        migrate(database)

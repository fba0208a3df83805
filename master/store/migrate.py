"""Brings the database to this release's tables, with Alembic."""

from __future__ import annotations

import logging
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from master.store.database import Database
from tasks.errors import Refused

_FOLDER = Path(__file__).parent / "migrations"


def migrate(database: Database) -> None:
    """Apply what is missing, each step in a transaction. A database of a newer release is refused."""
    known = revisions()
    with database.write() as connection:
        current = current_revision(connection)
        if current == known[-1]:
            return
        if current and current not in known:
            raise Refused(
                f"the database was written by a newer release (its revision {current} is unknown here): "
                f"update d8, or restore a backup from before"
            )
        _upgrade(connection)


def revisions() -> list[str]:
    """The revisions that this release knows, oldest first: they are numbered."""
    return sorted(path.name.partition("_")[0] for path in (_FOLDER / "versions").glob("[0-9]*.py"))


def current_revision(connection: Connection) -> str:
    """The revision of this database, or "" of an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")


def _upgrade(connection: Connection) -> None:
    # Ten megabytes that a master which is up to date can do without.
    from alembic import command
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

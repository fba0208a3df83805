"""Brings the database to this release's tables, with Alembic."""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from master.store.database import Database
from tasks.errors import Refused

_FOLDER = Path(__file__).parent / "migrations"


def migrate(database: Database) -> None:
    """Apply what is missing, each step in a transaction. A database of a newer release is refused."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    scripts = ScriptDirectory.from_config(config)
    with database.write() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        if current == scripts.get_current_head():
            return
        known = {script.revision for script in scripts.walk_revisions()}
        if current is not None and current not in known:
            raise Refused(
                f"the database was written by a newer release (its revision {current} is unknown here): "
                f"update d8, or restore a backup from before"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

"""Puts a backup into an empty home and an empty database, or into ones that were set aside."""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, MetaData, inspect, select, table, text
from sqlalchemy.exc import DatabaseError

from master.backup.archive import Advance, reading
from master.backup.files import keep_aside, place_artifact, place_file, require_room
from master.backup.make import make_backup
from master.backup.manifest import Manifest, require_known
from master.backup.rows import insert_rows, require_shapes, resume_numbers
from master.settings import Settings
from master.store import Database
from master.store import migrate as migrations
from master.store.metadata import metadata
from tasks.errors import Refused, Unhealthy

_FOLDER = Path(migrations.__file__).parent / "migrations"


def restore(
    settings: Settings, database: Database, source: Path, manifest: Manifest, *, passphrase: str, now: datetime,
    force: bool, advance: Advance = lambda _: None,
) -> list[str]:  # fmt: skip
    """Restore a backup that ``check_archive`` has found whole, in one transaction; nothing may run in
    the home. Returns what to tell the owner: what was set aside, and where."""
    require_known(manifest.revision, migrations.revisions())
    empty = is_empty(database)
    if not empty and not force:
        raise Refused(
            f"the database {database.url.render_as_string(hide_password=True)} is not empty: restore into an empty "
            f"home, or give --force, which sets aside what is there"
        )
    require_room(settings, manifest)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    told: list[str] = []
    with contextlib.ExitStack() as undo:
        if not empty:
            told.append(_set_aside(settings, database, undo, stamp, now))
        told += keep_aside(settings, manifest, undo, stamp)
        with database.write() as connection:
            _clear(connection)
            upgrade(connection, manifest.revision)
            require_shapes(connection, manifest.tables)
            _fill(connection, settings, source, manifest, passphrase, told, advance)
            upgrade(connection, "head")
        undo.pop_all()
    return told


def is_empty(database: Database) -> bool:
    """Whether no table of ours has a row. A SQLite file that is not there is not made; one that cannot be
    read is not empty: that may be why there is a restore."""
    if database.sqlite and not Path(database.url.database or "").exists():
        return True
    try:
        with database.read() as connection:
            names = set(inspect(connection).get_table_names()) & set(metadata.tables)
            return all(
                connection.execute(select(text("1")).select_from(table(name)).limit(1)).first() is None
                for name in names
            )
    except (DatabaseError, Unhealthy):
        if not database.sqlite:
            raise
        return False


def upgrade(connection: Connection, revision: str) -> None:
    """Bring the tables to this revision, in this connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _fill(
    connection: Connection, settings: Settings, source: Path, manifest: Manifest, passphrase: str, told: list[str],
    advance: Advance,
) -> None:  # fmt: skip
    shapes = {shape.name: shape for shape in manifest.tables}
    with reading(source, passphrase) as members:
        for name, content in members:
            kind, _, rest = name.partition("/")
            if kind == "tables":
                insert_rows(connection, shapes[rest.partition("/")[0]], content)
            elif kind == "artifacts":
                place_artifact(settings, rest, content)
            elif kind in ("secrets", "home"):
                told += place_file(settings, kind, rest, content.read())
            advance(manifest.members[name].size if name in manifest.members else 0)
    for shape in manifest.tables:
        resume_numbers(connection, shape)


def _clear(connection: Connection) -> None:
    """Drop the tables of the old fleet: they were kept. On SQLite the whole file was set aside. Whatever
    else lives in this database is not ours."""
    ours = {*metadata.tables, "alembic_version"}
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name in ours)
    found.drop_all(connection)


def _set_aside(
    settings: Settings, database: Database, undo: contextlib.ExitStack, stamp: str, now: datetime
) -> str:
    if not database.sqlite:
        kept = settings.home / f"before-restore-{stamp}.d8backup"
        make_backup(
            settings,
            database,
            kept,
            build="",
            now=now,
            passphrase="",
            with_secrets=False,
            with_artifacts=False,
        )
        return f"The old tables are kept in {kept}."
    file = Path(database.url.database or "")
    database.close()
    kept = file.with_name(f"{file.name}.before-{stamp}")
    for ending in ("", "-wal", "-shm"):
        old, new = Path(f"{file}{ending}"), Path(f"{kept}{ending}")
        if old.exists():
            old.rename(new)
            undo.callback(_put_back, database, new, old)
    return f"The old database is kept in {kept}."


def _put_back(database: Database, kept: Path, old: Path) -> None:
    database.close()
    kept.replace(old)

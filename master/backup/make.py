"""Makes a backup of a fleet, which may be running."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, func, select, text

from master.backup.archive import Advance, ArchiveWriter, writing
from master.backup.manifest import FORMAT, MANIFEST, Manifest, TableShape
from master.backup.rows import all_tables, dump_parts, shape_of
from master.settings import Settings
from master.store import Database
from master.store.artifacts import ArtifactFolder
from master.store.migrate import current_revision, revisions
from master.store.tables import artifacts
from tasks.errors import Refused, Unhealthy


def make_backup(
    settings: Settings, database: Database, target: Path, *, build: str, now: datetime, passphrase: str,
    with_secrets: bool, with_artifacts: bool = True, force: bool = False, advance: Advance = lambda _: None,
) -> Manifest:  # fmt: skip
    """Write the backup; returns what is in it. All rows are of one moment; the rest is immutable or small."""
    with snapshot(database) as connection:
        revision = _require_current(connection)
        _require_space(target, bytes_of(connection, settings))
        with writing(target, passphrase, advance, force=force) as writer:
            shapes = tuple(_add_table(connection, writer, number) for number in range(len(all_tables())))
            missing = _add_artifacts(connection, writer, settings) if with_artifacts else ()
            if with_secrets:
                _add_secrets(writer, settings)
            manifest = Manifest(
                format=FORMAT,
                build=build,
                revision=revision,
                made_at=now.isoformat(),
                database=connection.dialect.name,
                tables=shapes,
                members=dict(writer.members),
                artifacts_missing=missing,
                with_secrets=with_secrets,
            )
            writer.add(MANIFEST, manifest.model_dump_json().encode())
    return manifest


@contextlib.contextmanager
def snapshot(database: Database) -> Iterator[Connection]:
    """A view of one moment, for as long as it takes. Writers are not held up."""
    if database.sqlite:
        with database.read() as connection:
            yield connection
        return
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            yield connection


def bytes_of(connection: Connection, settings: Settings) -> int:
    """About how many bytes there are to be kept, before compression."""
    if connection.dialect.name == "postgresql":
        size = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    else:
        size = connection.execute(
            text("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        ).scalar_one()
    kept = connection.execute(select(func.coalesce(func.sum(artifacts.c.size), 0))).scalar_one()
    return int(size) + int(kept)


def _require_current(connection: Connection) -> str:
    found, wanted = current_revision(connection), revisions()[-1]
    if found != wanted:
        raise Refused(
            f"the database is at revision {found or 'none'} and this release's is {wanted}: start the master once "
            f"with 'd8 up', or make the backup with the release that wrote it"
        )
    return found


def _require_space(target: Path, size: int) -> None:
    try:
        free = shutil.disk_usage(target.parent).free
    except OSError as error:
        raise Unhealthy(
            f"the folder {target.parent} cannot be used ({error.strerror}): make it, or choose another"
        ) from None
    if free < size:
        raise Unhealthy(
            f"the backup may take {size // 2**20} MiB and {target.parent} has {free // 2**20} MiB free: make room "
            f"there, or choose another folder"
        )


def _add_table(connection: Connection, writer: ArchiveWriter, index: int) -> TableShape:
    source = all_tables()[index]
    rows = 0
    for number, (data, count) in enumerate(dump_parts(connection, source)):
        writer.add(f"tables/{source.name}/{number:06d}.jsonl", data)
        rows += count
    return shape_of(connection, source, rows)


def _add_artifacts(connection: Connection, writer: ArchiveWriter, settings: Settings) -> tuple[str, ...]:
    folder = ArtifactFolder(settings.artifact_folder)
    missing: list[str] = []
    for digest in list(connection.execute(select(artifacts.c.digest).order_by(artifacts.c.digest)).scalars()):
        try:
            writer.add_file(f"artifacts/{digest}", folder.path(digest))
        except FileNotFoundError:
            missing.append(digest)
            continue
        if writer.members[f"artifacts/{digest}"].sha256 != digest:
            raise Unhealthy(
                f"artifact {digest} is damaged on disk, so the backup was not made: restore that file from an older "
                f"backup, or remove it from {settings.artifact_folder}"
            )
    return tuple(missing)


def _add_secrets(writer: ArchiveWriter, settings: Settings) -> None:
    for path in sorted(settings.secrets_folder.glob("[A-Za-z0-9]*")):
        if path.is_file():
            writer.add(f"secrets/{path.name}", path.read_bytes())
    for name in ("d8.env", "local-workers"):
        if (settings.home / name).is_file():
            writer.add(f"home/{name}", (settings.home / name).read_bytes())

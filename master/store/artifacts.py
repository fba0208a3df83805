"""Large things, kept once under their SHA-256 in a folder, with a row that says what they are."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from master.store.order import later_of
from master.store.tables import artifacts
from tasks.errors import InvalidInput, NotFound, Unhealthy

_DIGEST = re.compile(r"[0-9a-f]{64}")


class ArtifactFolder:
    """The bytes. A file appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise InvalidInput(f"{digest[:80]!r} is not a SHA-256 in 64 lower-case hexadecimal digits")
        return self._folder / digest[:2] / digest

    def write(self, data: bytes) -> str:
        """Keep the bytes; returns their SHA-256 in hexadecimal."""
        digest = hashlib.sha256(data).hexdigest()
        target = self.path(digest)
        if target.exists():
            return digest
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, data)
        except OSError as error:
            raise Unhealthy(
                f"an artifact of {len(data)} bytes could not be kept in {self._folder} ({error.strerror}): "
                f"free some space there; nothing was half-written"
            ) from error
        return digest

    def read(self, digest: str) -> bytes:
        """The bytes, verified."""
        try:
            data = self.path(digest).read_bytes()
        except FileNotFoundError:
            raise NotFound(
                f"artifact {digest} is not kept here: it may have been removed by retention"
            ) from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise Unhealthy(f"artifact {digest} is damaged on disk: restore it from a backup")
        return data


def write_whole(target: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file so that readers, and a crash, see the old content or the new one."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def record_artifact(
    connection: Connection, digest: str, *, name: str, media_type: str, size: int, run_id: str, now: datetime
) -> None:
    """Remember what the bytes are; the first record stays."""
    if connection.execute(select(artifacts.c.digest).where(artifacts.c.digest == digest)).first() is None:
        connection.execute(
            artifacts.insert().values(
                digest=digest,
                name=name[:200],
                media_type=media_type[:100],
                size=size,
                run_id=run_id,
                created_at=now,
            )
        )


def list_artifacts(
    connection: Connection, *, run_id: str = "", limit: int = 100, after: tuple[datetime, str] | None = None
) -> list[dict[str, Any]]:
    """What is kept, newest first; ``after``: what comes behind the one of this time and digest."""
    query = select(artifacts).order_by(artifacts.c.created_at.desc(), artifacts.c.digest).limit(limit)
    if run_id:
        query = query.where(artifacts.c.run_id == run_id)
    if after is not None:
        query = query.where(
            later_of((artifacts.c.created_at, "desc"), (artifacts.c.digest, "asc"), after=after)
        )
    return [row._asdict() for row in connection.execute(query)]


def find_artifact(connection: Connection, digest: str) -> dict[str, object] | None:
    """Name, media type and size of the artifact, or None."""
    row = connection.execute(select(artifacts).where(artifacts.c.digest == digest)).first()
    return row._asdict() if row is not None else None

"""A restored fleet's files: artifacts, secrets, d8.env."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

from master.backup.manifest import Manifest
from master.settings import Settings
from master.store.artifacts import ArtifactFolder, write_whole
from tasks.errors import InvalidInput, Unhealthy

_BLOCK = 2**18


def require_room(settings: Settings, manifest: Manifest) -> None:
    """``Unhealthy`` when the home's disk cannot hold what is in the backup, indexes included."""
    size = sum(
        member.size * (2 if name.startswith("tables/") else 1) for name, member in manifest.members.items()
    )
    free = shutil.disk_usage(settings.home).free
    if free < size:
        raise Unhealthy(
            f"restoring takes about {size // 2**20} MiB and {settings.home} has {free // 2**20} MiB free: make room "
            f"there, or choose another home with D8_HOME; nothing was changed"
        )


def keep_aside(settings: Settings, manifest: Manifest, undo: contextlib.ExitStack, stamp: str) -> list[str]:
    """Move secrets that are here already out of the way of the backup's. Returns what to tell."""
    folder = settings.secrets_folder
    if not manifest.with_secrets:
        return []
    told = []
    if folder.exists() and any(folder.iterdir()):
        kept = folder.with_name(f"secrets.before-{stamp}")
        folder.rename(kept)
        undo.callback(kept.rename, folder)
        told.append(f"The old secrets are kept in {kept}.")
    # Undone first: what was placed so far gives way to what was there.
    undo.callback(shutil.rmtree, folder, ignore_errors=True)
    return told


def place_artifact(settings: Settings, digest: str, content: IO[bytes]) -> None:
    """Copy the bytes into the artifact folder, unless they are there."""
    target = ArtifactFolder(settings.artifact_folder).path(digest)
    if target.exists():
        return
    try:
        _copy_whole(target, digest, content)
    except OSError as error:
        raise _no_room(target, error) from error


def _copy_whole(target: Path, digest: str, content: IO[bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{digest}.")
    try:
        hashed = hashlib.sha256()
        with os.fdopen(handle, "wb") as file:
            while block := content.read(_BLOCK):
                hashed.update(block)
                file.write(block)
            os.fsync(file.fileno())
        if hashed.hexdigest() != digest:
            raise InvalidInput(f"artifact {digest} in the backup is damaged: use another copy of the file")
        os.chmod(name, 0o644)
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)


def place_file(settings: Settings, kind: str, name: str, data: bytes) -> list[str]:
    """Write a secret, or a file of the home that is not there yet. Returns what to tell."""
    try:
        return _place(settings, kind, name, data)
    except OSError as error:
        raise _no_room(settings.home / name, error) from error


def _place(settings: Settings, kind: str, name: str, data: bytes) -> list[str]:
    folder = settings.secrets_folder if kind == "secrets" else settings.home
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = folder / name
    if name != "d8.env" or kind != "home":
        write_whole(target, data, mode=0o600)
        return []
    if target.exists():
        target = folder / "d8.env.restored"
        write_whole(target, data, mode=0o600)
        return [f"This home's d8.env was kept; the backup's is in {target}."]
    lines = data.decode("utf-8", errors="surrogateescape").splitlines(keepends=True)
    kept = "".join(line for line in lines if not is_about_the_place(line))
    write_whole(target, kept.encode("utf-8", errors="surrogateescape"), mode=0o600)
    if len(kept) == sum(map(len, lines)):
        return []
    return [
        "d8.env was restored without D8_DATABASE_URL and D8_HOME: they are of the place, not of the fleet."
    ]


def _no_room(target: Path, error: OSError) -> Unhealthy:
    return Unhealthy(
        f"{target} could not be written ({error.strerror}): make room there and restore again; the database was "
        f"not changed"
    )


def is_about_the_place(line: str) -> bool:
    """Whether a line of d8.env says where the old fleet lay: a copy of it must not follow there."""
    name = line.strip().removeprefix("export ").partition("=")[0].strip().upper()
    return name in ("D8_DATABASE_URL", "D8_HOME")

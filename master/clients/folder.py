"""From a site artifact to a folder on disk: checked, whole or not at all, harmless to repeat."""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from tasks.errors import InvalidInput, Unhealthy

MAX_FILES = 100
MAX_FILE_BYTES = 2 * 1024 * 1024
MAX_SITE_BYTES = 8 * 1024 * 1024

#: What reading a zip raises for bytes that are no whole one: a broken structure or checksum, broken or missing
#: compressed bytes, places before the beginning and names that are no text, what zipfile cannot do (decrypt).
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MEMBER = re.compile(r"[a-z0-9][a-z0-9._-]{0,60}(/[a-z0-9][a-z0-9._-]{0,60}){0,2}")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def read_site(data: bytes) -> dict[str, bytes]:
    """The files of a site artifact. It came from a worker: nothing in it is trusted.

    Raises ``InvalidInput`` for anything but a plain zip of small files with plain names.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            _check_members(members)
            files = {}
            total = 0
            for member in members:
                with archive.open(member) as stream:
                    # The size that a member declares may be a lie: read no more than is allowed.
                    files[member.filename] = stream.read(MAX_FILE_BYTES + 1)
                total += len(files[member.filename])
                if len(files[member.filename]) > MAX_FILE_BYTES or total > MAX_SITE_BYTES:
                    raise InvalidInput(
                        _refusal(f"{member.filename!r} makes it larger than {MAX_SITE_BYTES:,} bytes")
                    )
            return files
    except _UNREADABLE as error:
        raise InvalidInput(_refusal(f"it is not a readable zip ({error})")) from None


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_FILES:
        raise InvalidInput(_refusal(f"it holds {len(members)} files, over {MAX_FILES}"))
    seen: set[str] = set()
    for member in members:
        name, mode = member.filename, member.external_attr >> 16
        if not _MEMBER.fullmatch(name) or ".." in name:
            raise InvalidInput(_refusal(f"the name {name[:80]!r} is not a plain relative path"))
        if mode and not stat.S_ISREG(mode):
            raise InvalidInput(_refusal(f"{name!r} is not a regular file"))
        if name in seen or any(
            name.startswith(other + "/") or other.startswith(name + "/") for other in seen
        ):
            raise InvalidInput(_refusal(f"{name!r} is there twice"))
        if member.compress_type not in _METHODS:
            raise InvalidInput(
                _refusal(f"{name!r} is compressed by method {member.compress_type}, not deflate")
            )
        if member.file_size > MAX_FILE_BYTES:
            raise InvalidInput(_refusal(f"{name!r} has {member.file_size:,} bytes, over {MAX_FILE_BYTES:,}"))
        seen.add(name)


def _refusal(what: str) -> str:
    return f"the site that a worker sent is refused: {what}; nothing was written"


def place_folder(root: Path, project: str, files: Mapping[str, bytes]) -> Path:
    """Make ``root/project`` hold exactly these files (path -> content); returns the folder.

    They are written beside it, flushed to disk, and then take its name: a reader sees the old folder or
    the new one. After a crash between any two lines the same call finishes the work.

    Raises ``Unhealthy`` when the disk refuses.
    """
    if not _PROJECT.fullmatch(project):
        raise InvalidInput(f"{project[:60]!r} cannot be a project's folder: 1 to 40 of a-z, 0-9 and '-'")
    target, new, old = root / project, root / f".{project}.new", root / f".{project}.old"
    try:
        if not _holds(target, files):
            _write_tree(new, files)
            if target.exists():
                _remove(old)
                target.rename(old)
            new.rename(target)
            _flush(root)
        _remove(old)
        _remove(new)
    except OSError as error:
        raise Unhealthy(
            f"the project cannot be written to {target} ({error.strerror or error}): check that the disk "
            f"has space and that this user may write there, then retry the run; the folder is as it was"
        ) from error
    return target


def _write_tree(folder: Path, files: Mapping[str, bytes]) -> None:
    _remove(folder)
    folder.mkdir(parents=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    for part in (*(path for path in folder.rglob("*") if path.is_dir()), folder):
        _flush(part)


def _holds(folder: Path, files: Mapping[str, bytes]) -> bool:
    if folder.is_symlink() or not folder.is_dir():
        return False
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
    return there.keys() == files.keys() and all(
        not path.is_symlink() and path.read_bytes() == files[name] for name, path in there.items()
    )


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _flush(folder: Path) -> None:
    """Names in a folder are only safe once the folder itself is on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The file: a compressed tar, encrypted or not, whose last member is the manifest."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from master.backup.manifest import (
    MANIFEST,
    MANIFEST_MOST_BYTES,
    Manifest,
    Member,
    acceptable,
    compare_members,
    read_manifest,
)  # fmt: skip
from master.backup.sealed import MAGIC, Opener, Sealer, is_sealed
from tasks.errors import InvalidInput, NotFound, Refused, Unhealthy

_BLOCK = 2**18
Advance = Callable[[int], None]


class ArchiveWriter:
    """Adds members and remembers their digests."""

    def __init__(self, tar: tarfile.TarFile, advance: Advance) -> None:
        self._tar = tar
        self._advance = advance
        self.members: dict[str, Member] = {}

    def add(self, name: str, data: bytes) -> None:
        self._add(name, len(data), io.BytesIO(data))

    def add_file(self, name: str, path: Path) -> None:
        with path.open("rb") as file:
            self._add(name, os.fstat(file.fileno()).st_size, file)

    def _add(self, name: str, size: int, source: IO[bytes]) -> None:
        assert acceptable(name), name
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = size, 0o600
        hashed = _Hashed(source)
        self._tar.addfile(entry, hashed)
        if name != MANIFEST:
            self.members[name] = Member(size=size, sha256=hashed.digest())
        self._advance(size)


class _Hashed:
    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self._hash.update(data)
        return data

    def digest(self) -> str:
        return self._hash.hexdigest()


@contextlib.contextmanager
def writing(target: Path, passphrase: str, advance: Advance, *, force: bool) -> Iterator[ArchiveWriter]:
    """A new file beside ``target``, moved there when it is whole. ``passphrase`` "": not encrypted."""
    if target.exists() and not force:
        raise Refused(f"{target} is there already: choose another name, or give --force to replace it")
    name = ""
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as file:
            sealer = Sealer(file, passphrase) if passphrase else None
            out: Any = sealer or file
            with tarfile.open(mode="w|gz", fileobj=out, format=tarfile.PAX_FORMAT) as tar:
                yield ArchiveWriter(tar, advance)
            if sealer:
                sealer.finish()
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o600)
        os.replace(name, target)
    except OSError as error:
        raise Unhealthy(
            f"the backup {target} could not be written ({error.strerror}): make room there, or choose another "
            f"folder; nothing of it was left behind"
        ) from error
    finally:
        if name:
            Path(name).unlink(missing_ok=True)


def encrypted(path: Path) -> bool:
    """Whether a passphrase is needed. ``NotFound``: there is no such file."""
    try:
        with path.open("rb") as file:
            return is_sealed(file.read(len(MAGIC)))
    except FileNotFoundError:
        raise NotFound(f"there is no backup {path}: check the name") from None
    except OSError as error:
        raise InvalidInput(f"the backup {path} cannot be read ({error.strerror}): check the file") from None


@contextlib.contextmanager
def reading(path: Path, passphrase: str) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """The members in order, each to be read before the next. ``InvalidInput``: damaged."""
    sealed = encrypted(path)
    with path.open("rb") as file:
        # It is only ever asked for read().
        source: Any = Opener(file, passphrase) if sealed else file
        try:
            with tarfile.open(mode="r|gz", fileobj=source) as tar:
                yield _members(tar)
        except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
            raise InvalidInput(f"the backup {path} is damaged ({error}): use another copy of it") from None


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for entry in tar:
        content = tar.extractfile(entry) if entry.isreg() else None
        if content is None or not acceptable(entry.name):
            raise InvalidInput(
                f"the backup holds {entry.name[:80]!r}, which no backup of D8 has: it is not one"
            )
        yield entry.name, content


def check_archive(path: Path, passphrase: str, advance: Advance) -> Manifest:
    """Read all of it once. Its manifest, when every part is what the manifest says."""
    found: dict[str, Member] = {}
    manifest: Manifest | None = None
    with reading(path, passphrase) as members:
        for name, content in members:
            if manifest is not None or name in found:
                raise InvalidInput(
                    f"the backup {path} holds {name!r} where it should have ended: it is damaged"
                )
            if name == MANIFEST:
                manifest = read_manifest(content.read(MANIFEST_MOST_BYTES))
            else:
                found[name] = _measure(content, advance)
    if manifest is None:
        raise InvalidInput(f"the backup {path} is cut off: use another copy of it")
    compare_members(manifest, found)
    return manifest


def _measure(content: IO[bytes], advance: Advance) -> Member:
    hashed, size = hashlib.sha256(), 0
    while block := content.read(_BLOCK):
        hashed.update(block)
        size += len(block)
        advance(len(block))
    return Member(size=size, sha256=hashed.hexdigest())

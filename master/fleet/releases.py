"""Releases: the code of this master's build, packed and signed, for workers to fetch.

The archive holds every file that the build is computed from, and what installs it. It is the same to
the byte each time, so that its digest can be told in advance.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from master.store.artifacts import write_whole
from tasks.build import build_id, code_files
from tasks.errors import Unhealthy
from tasks.files import read_text_or_empty
from tasks.protocol import Release

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: What installs the code, beside the code itself.
_INSTALLERS = (
    "requirements",
    "requirements.txt",
    "scripts/__init__.py",
    "scripts/bootstrap_pip.py",
    "scripts/d8",
    "scripts/env",
    "scripts/environment",
    "scripts/install-worker",
    "scripts/systemd",
)


class Releases:
    """Packs this master's code on demand. Safe to call from several threads."""

    def __init__(self, root: Path, build: str, key_file: Path) -> None:
        self._root = root
        self._build = build
        self._key_file = key_file
        self._lock = threading.Lock()
        self._packed: tuple[Release, bytes] | None = None

    @property
    def public_key(self) -> str:
        """64 hexadecimal digits."""
        return self._key().public_key().public_bytes_raw().hex()

    def get(self) -> tuple[Release, bytes]:
        """The release and its archive. ``Unhealthy`` when the files are not those that this process
        started with: then there is nothing that could be handed out as this build."""
        with self._lock:
            if self._packed is None:
                if build_id(self._root) != self._build:
                    raise Unhealthy(
                        f"the code in {self._root} was changed since this master started with build "
                        f"{self._build}: start the master again ('d8 down', 'd8 up'), then update the workers"
                    )
                archive = pack(self._root)
                release = Release(
                    build=self._build,
                    sha256=hashlib.sha256(archive).hexdigest(),
                    size=len(archive),
                    signature="",
                )
                signature = self._key().sign(release.signed_text).hex()
                self._packed = release.model_copy(update={"signature": signature}), archive
            return self._packed

    def _key(self) -> Ed25519PrivateKey:
        return _read_key(self._key_file)


def make_release_key(key_file: Path) -> None:
    """The key that signs releases, and beside it (``.pub``) the one that checks them; made once."""
    public_file = key_file.with_suffix(".pub")
    made = key_file.stat().st_mtime_ns if read_text_or_empty(key_file) else 0
    if made and read_text_or_empty(public_file) and public_file.stat().st_mtime_ns >= made:
        # Cryptography is six MiB: a master that hands out no release does without.
        return
    if not made:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        key = Ed25519PrivateKey.generate()
        write_whole(key_file, key.private_bytes_raw().hex().encode() + b"\n", mode=0o600)
    public = _read_key(key_file).public_key().public_bytes_raw().hex()
    write_whole(public_file, public.encode() + b"\n", mode=0o600)


def _read_key(key_file: Path) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(read_text_or_empty(key_file)))


def pack(root: Path) -> bytes:
    """A gzipped tar of the code under ``root``: sorted, without times, owners or caches."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in sorted(set(code_files(root)) | set(_installers(root))):
            member = tarfile.TarInfo(path.relative_to(root).as_posix())
            data = path.read_bytes()
            member.size = len(data)
            member.mode = 0o755 if os.access(path, os.X_OK) else 0o644
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _installers(root: Path) -> list[Path]:
    found: list[Path] = []
    for name in _INSTALLERS:
        place = root / name
        if place.is_file():
            found.append(place)
        elif place.is_dir():
            found += [path for path in place.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return found

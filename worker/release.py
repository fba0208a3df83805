"""A release from the master becomes code on this disk: verified, unpacked, its libraries installed."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tasks.build import build_id
from tasks.errors import D8Error, Unhealthy
from tasks.files import ROOT
from tasks.log import say
from tasks.protocol import Release
from worker.switch import Code

log = logging.getLogger("d8.update")

#: What decides which libraries a worker has. While these are the same, so is its environment.
_LOCKS = ("worker.lock", "models.lock", "torch.lock", "torch-cuda.lock")
_INSTALL_S = 3 * 3600
_MOST_BYTES = 256 * 2**20


class UpdateFailed(D8Error):
    """The release cannot be used; the worker stays as it is."""


def verify(release: Release, archive: bytes, wanted: str, public_key: str) -> None:
    """``UpdateFailed`` unless these bytes are the wanted build, signed by the fleet's key."""
    if release.build != wanted:
        raise UpdateFailed(f"the master offers build {release.build}, it had asked for {wanted}")
    if len(archive) != release.size or hashlib.sha256(archive).hexdigest() != release.sha256:
        raise UpdateFailed(
            f"the archive of build {wanted} came damaged: its SHA-256 is not the one announced"
        )
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(
            bytes.fromhex(release.signature), release.signed_text
        )
    except (InvalidSignature, ValueError):
        raise UpdateFailed(
            f"build {wanted} is not signed by the key that this worker joined with: if the master was set up "
            f"anew, remove the worker there and join again with a new invite"
        ) from None


def install(release: Release, archive: bytes, folder: Path, note: Callable[[str], None]) -> Code:
    """Unpack under ``folder`` and make its environment; returns what to run. Nothing is left half-made
    under the release's own name. Harmless to repeat."""
    target = folder / release.build
    if not (target.exists() and build_id(target) == release.build):
        note(f"unpacking build {release.build}")
        _unpack(release, archive, target)
    if same_libraries(ROOT, target):
        return Code(root=str(target), python=sys.executable, build=release.build)
    note(f"installing the libraries of build {release.build}")
    done = subprocess.run(
        [str(target / "scripts" / "env"), "--worker"],
        capture_output=True,
        text=True,
        timeout=_INSTALL_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        tail = " ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise UpdateFailed(f"the libraries of build {release.build} could not be installed: {tail}"[:1500])
    return Code(root=str(target), python=str(target / ".venv" / "bin" / "python"), build=release.build)


def same_libraries(here: Path, there: Path) -> bool:
    """Whether both want the same libraries, so that one environment serves both."""
    return all(_read(here / "requirements" / name) == _read(there / "requirements" / name) for name in _LOCKS)


def clear_releases(folder: Path, keep: set[str]) -> None:
    """Remove releases that nothing refers to any more."""
    for path in folder.iterdir() if folder.exists() else ():
        if str(path) not in keep and path != ROOT and path.is_dir():
            say(log, logging.INFO, "release_removed", folder=path)
            shutil.rmtree(path, ignore_errors=True)


def _unpack(release: Release, archive: bytes, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = Path(tempfile.mkdtemp(dir=target.parent, prefix=".part."))
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            if sum(member.size for member in tar) > _MOST_BYTES:
                raise UpdateFailed(f"build {release.build} would unpack to more than {_MOST_BYTES} bytes")
            # Refuses absolute names, links out of the folder and special files.
            tar.extractall(part, filter="data")
        if build_id(part) != release.build:
            raise UpdateFailed(f"the files of build {release.build} are those of build {build_id(part)}")
        shutil.rmtree(target, ignore_errors=True)
        os.rename(part, target)
    except OSError as error:
        raise Unhealthy(f"build {release.build} cannot be written to {target}: {error.strerror}") from error
    except tarfile.TarError as error:
        raise UpdateFailed(f"the archive of build {release.build} cannot be unpacked: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""

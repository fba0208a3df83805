"""``scripts/vendor``: the dashboard's libraries, fetched from npm and held to their recorded digests.

The record is ``master/web/static/vendor/vendor.json``: name, version, where from, npm's own integrity of
the package (https://www.w3.org/TR/SRI/), license, and the SHA-256 of each file that was taken out of it.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import os
import sys
import tarfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "master" / "web" / "static" / "vendor"
RECORD = "vendor.json"
_NPM = "https://registry.npmjs.org/"
_TIMEOUT_S = 60.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Taken:
    """One file, as it lies in the package and in our folder."""

    name: str
    inside: str
    sha256: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Package:
    name: str
    version: str
    #: Address of the package at npm.
    source: str
    #: npm's digest of the package: ``sha512-`` and base64.
    integrity: str
    license: str
    files: tuple[Taken, ...]


def read_record(folder: Path = FOLDER) -> list[Package]:
    given: list[dict[str, Any]] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return [
        Package(
            **{
                **each,
                "files": tuple(
                    Taken(name=name, inside=file["from"], sha256=file["sha256"])
                    for name, file in each["files"].items()
                ),
            }
        )
        for each in given
    ]


def find_differences(folder: Path = FOLDER) -> list[str]:
    """What in the folder is not as the record says; one line each."""
    recorded = {taken.name: taken for package in read_record(folder) for taken in package.files}
    there = {path.name for path in folder.iterdir()} - {RECORD}
    wrong = [
        f"{name} is in no record: take it away, or say where it is from" for name in there - set(recorded)
    ]
    for name, taken in recorded.items():
        if name not in there:
            wrong.append(f"{name} is missing: scripts/vendor fetches it")
        elif _sha256((folder / name).read_bytes()) != taken.sha256:
            wrong.append(f"{name} was changed: scripts/vendor fetches the recorded one")
    return sorted(wrong)


def take(package: Package, data: bytes, folder: Path) -> None:
    """Write the package's files. ``ValueError`` when it is not the recorded one; then nothing is written."""
    algorithm, _, expected = package.integrity.partition("-")
    if base64.b64encode(hashlib.new(algorithm, data).digest()).decode() != expected:
        raise ValueError(f"{package.source} is not the package that was recorded: nothing was changed")
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        for taken in package.files:
            content = tar.extractfile(taken.inside)
            found[taken.name] = content.read() if content else b""
            if _sha256(found[taken.name]) != taken.sha256:
                raise ValueError(f"{taken.inside} of {package.source} is not the recorded file")
    for name, text in found.items():
        (folder / name).write_bytes(text)


def main(arguments: Sequence[str]) -> int:
    if "--check" not in arguments:
        registry = os.environ.get("NPM_REGISTRY", _NPM).rstrip("/") + "/"
        for package in read_record():
            address = package.source.replace(_NPM, registry, 1)
            try:
                with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer:
                    take(package, answer.read(), FOLDER)
            except (OSError, ValueError) as error:
                print(f"{package.name} {package.version}: {error}", file=sys.stderr)
                return 1
            print(f"{package.name} {package.version} ({package.license})")
    wrong = find_differences()
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

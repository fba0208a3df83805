"""Reads lock files: pinned requirements with hashes, as ``uv pip compile --generate-hashes`` writes them."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from scripts.environment.errors import EnvironmentFailure

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)\s*(?:;\s*([^\\]+))?\\?$")
_HASH = re.compile(r"^--hash=sha256:([0-9a-f]{64})\s*\\?$")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pin:
    """One locked requirement."""

    #: Normalized as package indexes do: lower case, dashes.
    name: str
    version: str
    #: Environment marker, or "" for every environment.
    marker: str
    #: Lower-case hexadecimal digests of the files that may be installed.
    sha256s: tuple[str, ...]


def normalized(name: str) -> str:
    """``Foo_Bar.baz`` -> ``foo-bar-baz`` (https://packaging.python.org/en/latest/specifications/name-normalization/)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(path: Path) -> tuple[Pin, ...]:
    """Every pin of a lock file. ``EnvironmentFailure`` names the line that is not a pin with hashes."""
    pins: list[Pin] = []
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if match := _PIN.match(line):
            name, version, marker = match.groups()
            pins.append(
                Pin(name=normalized(name), version=version, marker=(marker or "").strip(), sha256s=())
            )
        elif (match := _HASH.match(line)) and pins:
            pins[-1] = dataclasses.replace(pins[-1], sha256s=(*pins[-1].sha256s, match[1]))
        else:
            raise EnvironmentFailure(
                f"{path}:{number}: {line[:80]!r} is neither name==version nor --hash=sha256:...: "
                f"make the lock again with scripts/lock"
            )
    for pin in pins:
        if not pin.sha256s:
            raise EnvironmentFailure(f"{path}: {pin.name} has no hash: make the lock again with scripts/lock")
    return tuple(pins)

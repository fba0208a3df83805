"""What a machine was given when it joined a fleet, kept in its home for its owner alone."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pydantic import ValidationError

from tasks.errors import Unhealthy
from tasks.files import read_text_or_empty
from tasks.protocol import Joined, Spoken


class Membership(Spoken):
    """A worker's place in a fleet."""

    master_url: str
    joined: Joined


def membership_file(home: Path) -> Path:
    return home / "secrets" / "membership.json"


def find_membership(home: Path) -> Membership | None:
    """None on a machine that has not joined. ``Unhealthy`` when the file is damaged."""
    path = membership_file(home)
    text = read_text_or_empty(path)
    if not text:
        return None
    try:
        return Membership.model_validate_json(text)
    except ValidationError:
        raise Unhealthy(
            f"{path} is damaged: make a new invite on the master ('d8 worker invite') and join again"
        ) from None


def keep_membership(home: Path, membership: Membership) -> None:
    """On disk, whole and closed to others, when this returns."""
    write_secret(membership_file(home), membership.model_dump_json())


def write_secret(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Made with mode 0600.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

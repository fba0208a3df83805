"""Where things lie, and reading small files. Next to nothing is imported: the smallest processes use it."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path

from tasks.errors import Unhealthy

#: The checkout or release that this code is part of.
ROOT = Path(__file__).resolve().parent.parent


def read_text_or_empty(path: Path) -> str:
    """The file's text without surrounding white space, or "" where there is no such file."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except PermissionError:
        raise Unhealthy(
            f"{path} belongs to another user and cannot be read: run d8 as the user who owns "
            f"{path.parent.parent}, or set D8_HOME to a folder of your own"
        ) from None


def default_home() -> Path:
    """``$D8_HOME``, or the platform's folder for user data."""
    chosen = os.environ.get("D8_HOME", "")
    return Path(chosen).expanduser().absolute() if chosen else user_data_path("d8")

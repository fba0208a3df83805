"""Which code a worker runs, on disk: shared between the keeper, which starts it, and the agent in it.

The standard library only: the keeper is to be small, and to work when everything else does not.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Code:
    """A folder with the product's code, and the Python to run it with."""

    root: str
    python: str
    build: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """What the keeper runs, and what it came from."""

    code: Code
    #: Build of the code that the owner installed, when this was chosen instead of it: when that is
    #: changed by hand, it goes first again.
    installed_build: str
    #: What it goes back to unless the code proves itself; None when it has.
    previous: Code | None = None


class SwitchFiles:
    """``worker/<name>`` in the home."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read_standing(self) -> Standing | None:
        found = self._read("release.json")
        if found is None:
            return None
        previous = found["previous"]
        return Standing(
            code=Code(**found["code"]),
            installed_build=found["installed_build"],
            previous=None if previous is None else Code(**previous),
        )

    def write_standing(self, standing: Standing) -> None:
        self._write("release.json", dataclasses.asdict(standing))

    def forget_standing(self) -> None:
        self._remove("release.json")

    def ask_switch(self, code: Code) -> None:
        """For the agent: run this next, once what runs now has ended."""
        self._write("switch.json", dataclasses.asdict(code))

    def take_switch(self) -> Code | None:
        """For the keeper: what is to run next, asked for once."""
        found = self._read("switch.json")
        self._remove("switch.json")
        return None if found is None else Code(**found)

    def end_trial(self, build: str, error: str) -> None:
        """For the agent: the code has proved itself (``error`` empty), or not."""
        self._write("trial.json", {"build": build, "error": error})

    def take_verdict(self, build: str) -> str | None:
        """For the keeper: "" when this build has passed, the error when it has failed, None while open."""
        found = self._read("trial.json")
        return str(found["error"]) if found is not None and found["build"] == build else None

    def forget_verdict(self) -> None:
        self._remove("trial.json")

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found = json.loads((self._folder / name).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _write(self, name: str, value: dict[str, Any]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, part = tempfile.mkstemp(dir=self._folder)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self._folder / name)

    def _remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

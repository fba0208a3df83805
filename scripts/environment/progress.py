"""Reads pip's output as it comes and says in one line how far it is."""

from __future__ import annotations

import re
import sys
import time
from typing import TextIO

_COLLECTING = re.compile(r"^(?:Collecting|Processing|Requirement already satisfied:) (\S+)")
_DOWNLOADING = re.compile(r"^\s*(?:Downloading|Using cached) (?:\S*/)?([A-Za-z0-9_.]+?)-\d\S* \(([^)]+)\)")
#: ``pip --progress-bar raw``: bytes so far, bytes in all.
_PROGRESS = re.compile(r"^Progress (\d+) of (\d+)$")
_INSTALLING = re.compile(r"^Installing collected packages:")

#: Where nobody rewrites the line, say something this often.
QUIET_EVERY_S = 15.0


class PipOutput:
    """What pip is doing, from the lines that it printed so far."""

    def __init__(self) -> None:
        self.packages = 0
        self._name = ""
        self._bytes = ""
        #: From here on the environment changes; before, a failure has left it as it was.
        self.installing = False

    def feed(self, line: str) -> bool:
        """Take one line. False for the ones that are progress only, which no log needs."""
        if match := _PROGRESS.match(line):
            done, total = (int(number) / 1e6 for number in match.groups())
            self._bytes = f" {done:.0f} of {total:.0f} MB" if total >= 10 else ""
            return False
        if match := _COLLECTING.match(line):
            self.packages += 1
            self._name, self._bytes = match[1].rsplit("/", 1)[-1].split("==")[0], ""
        elif match := _DOWNLOADING.match(line):
            self._name, self._bytes = match[1], ""
        elif _INSTALLING.match(line):
            self.installing = True
        return True

    def __str__(self) -> str:
        if self.installing:
            return f"unpacking {self.packages} packages"
        return f"{self.packages} packages, {self._name}{self._bytes}" if self._name else "asking the index"


class ProgressLine:
    """Shows one act: rewritten in place on a terminal, now and then a line elsewhere."""

    def __init__(self, label: str, stream: TextIO | None = None) -> None:
        self._label = label
        self._stream = stream or sys.stderr
        self._rewrites = self._stream.isatty()
        self._began_s = time.monotonic()
        self._shown_s = self._began_s
        if not self._rewrites:
            self._write(f"{label} ...\n")

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began_s

    def show(self, text: str) -> None:
        """How far it is. Cheap to call often."""
        now_s = time.monotonic()
        if now_s - self._shown_s < (0.1 if self._rewrites else QUIET_EVERY_S):
            return
        self._shown_s = now_s
        line = f"{self._label}: {text} ({self.elapsed_s:.0f} s)"
        self._write(f"\r{line[:118]}\033[K" if self._rewrites else f"  {line}\n")

    def done(self, text: str) -> None:
        over = "\r\033[K" if self._rewrites else ""
        self._write(f"{over}{self._label}: {text}, {self.elapsed_s:.0f} s\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

"""The end of this worker's log, whichever of its processes wrote it, kept in one small file.

The log itself goes to standard error, and from there wherever this machine keeps it: a file of the
supervisor, the journal, a container's log, a terminal. None of these can be read everywhere, so the
last lines are kept here too, in a ring of fixed size: nothing to rotate, little to write, and after a
crash the next process still has what the last one said.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from tasks.log import TextFormatter

#: Bytes of log that are kept.
SIZE = 64 * 1024
_HEAD = 16


class LogTail:
    """A ring of bytes in a file, which begins with the number of bytes ever written (decimal digits)."""

    def __init__(self, path: Path, size: int = SIZE) -> None:
        """``path`` is made when missing, for its owner alone."""
        self._path = path
        self._size = size
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Opened anew by each write: a lock belongs to a process and is free when that process is killed.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))

    def write(self, data: bytes) -> None:
        """Add to the end; of more than fits, the end."""
        with self._locked() as file:
            written = self._written(file)
            data = data[-self._size :]
            place = written % self._size
            first = data[: self._size - place]
            os.pwrite(file, first, _HEAD + place)
            os.pwrite(file, data[len(first) :], _HEAD)
            os.pwrite(file, b"%0*d" % (_HEAD, written + len(data)), 0)

    def read(self) -> str:
        """Whole lines, oldest first. ``OSError`` when the file cannot be read."""
        with self._locked() as file:
            written = self._written(file)
            ring = os.pread(file, self._size, _HEAD)
        if written <= self._size:
            return ring[:written].decode(errors="replace")
        place = written % self._size
        # The oldest line was cut by what was written over its beginning.
        return (ring[place:] + ring[:place]).partition(b"\n")[2].decode(errors="replace")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        file = os.open(self._path, os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)

    @staticmethod
    def _written(file: int) -> int:
        digits = os.pread(file, _HEAD, 0)
        # Anything else is a file that was cut off: it begins anew.
        return int(digits) if len(digits) == _HEAD and digits.isdigit() else 0


class TailHandler(logging.Handler):
    """Writes each record as people read it, without secrets."""

    def __init__(self, tail: LogTail) -> None:
        super().__init__()
        self._tail = tail
        self.setFormatter(TextFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._tail.write(self.format(record).encode(errors="replace") + b"\n")
        except Exception:  # noqa: BLE001 (as every handler of logging: it must not end the work)
            self.handleError(record)


def keep_tail(tail: LogTail) -> None:
    """From now on this process's log is kept there, beside where it goes."""
    logging.getLogger().addHandler(TailHandler(tail))
    # Celery sets the root's level to the one of its own lines, which are many and say little: how this
    # worker stands would be silent with them.
    logging.getLogger("d8").setLevel(logging.INFO)

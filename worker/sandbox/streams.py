"""Reads what a process prints without ever holding more than it may."""

from __future__ import annotations

import threading
from typing import IO


class Captured:
    """The beginning of a stream, its end, and how much there was; filled by a thread of its own."""

    def __init__(self, stream: IO[bytes], most_bytes: int) -> None:
        self._stream = stream
        self._most = most_bytes
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    @property
    def head(self) -> bytes:
        return bytes(self._head)

    @property
    def tail(self) -> bytes:
        """The last bytes, twice as many as are kept of the beginning."""
        return bytes(self._tail)

    @property
    def truncated(self) -> bool:
        return self.total > self._most

    def _read(self) -> None:
        while data := self._stream.read1(65536):  # type: ignore[attr-defined]
            self.total += len(data)
            if len(self._head) < self._most:
                self._head += data[: self._most - len(self._head)]
            self._tail += data
            del self._tail[: -2 * self._most - 8192]

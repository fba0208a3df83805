"""Thousands of open event streams in one process: who was told of what, and how long it took."""

from __future__ import annotations

import bisect
import dataclasses
import re
import selectors
import socket
import time
from collections.abc import Callable

_ID = re.compile(rb"^id: (\d+)$", re.MULTILINE)
#: Connections being made at a time: fewer than the server's backlog.
_AT_A_TIME = 200


@dataclasses.dataclass
class _Stream:
    socket: socket.socket
    heard: bytes = b""
    #: How many of the written events it was told of.
    told: int = 0
    is_open: bool = False


class Crowd:
    """Opens streams, reads them, and notes when each heard of each event."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._address = (host, port)
        self._request = (
            f"GET /events HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
        ).encode()
        self._selector = selectors.DefaultSelector()
        self._streams: list[_Stream] = []
        self._seqs: list[int] = []
        self._written_s: list[float] = []
        #: Seconds from the commit of an event to a listener's hearing of it.
        self.delays_s: list[float] = []
        self.closed = 0

    @property
    def open(self) -> int:
        return sum(stream.is_open for stream in self._streams)

    def gather(self, count: int, timeout_s: float) -> None:
        """Open so many streams; returns when all are, or time is up."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and (len(self._streams) < count or self.open < count - self.closed):
            connecting = sum(not stream.is_open for stream in self._streams[-_AT_A_TIME * 4 :])
            for _ in range(min(_AT_A_TIME - connecting, count - len(self._streams))):
                self._connect()
            self.listen(0.05)

    def wrote(self, seq: int, at_s: float) -> None:
        """An event was committed at this moment of the monotonic clock."""
        self._seqs.append(seq)
        self._written_s.append(at_s)

    def listen(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not until():
            for key, _ in self._selector.select(min(left, 0.05)):
                self._read(key.data)

    def close(self) -> None:
        for stream in self._streams:
            stream.socket.close()
        self._selector.close()

    def _connect(self) -> None:
        made = socket.create_connection(self._address, timeout=30)
        made.sendall(self._request)
        made.setblocking(False)
        stream = _Stream(made)
        self._streams.append(stream)
        self._selector.register(made, selectors.EVENT_READ, stream)

    def _read(self, stream: _Stream) -> None:
        try:
            text = stream.socket.recv(65_536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            text = b""
        now_s = time.monotonic()
        if not text:
            self._selector.unregister(stream.socket)
            self.closed += 1
            stream.is_open = False
            return
        stream.heard += text
        if not stream.is_open:
            if b"\r\n\r\n" not in stream.heard:
                return
            stream.is_open = stream.heard.startswith(b"HTTP/1.1 200")
            # It hears of what is written from now on.
            stream.told = len(self._seqs)
        for match in _ID.finditer(stream.heard):
            reached = bisect.bisect_right(self._seqs, int(match[1]))
            self.delays_s += [now_s - at_s for at_s in self._written_s[stream.told : reached]]
            stream.told = max(stream.told, reached)
        stream.heard = stream.heard.rpartition(b"\n")[2]

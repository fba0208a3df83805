"""One HTTP exchange with a server on a Unix socket, by the standard library alone.

A connection per exchange: connecting over a Unix socket takes some 50 microseconds, and nothing is
left open that a forked child could share or a restarted server could have closed.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Longest path that a Unix socket can have on Linux, its closing zero not counted (unix(7)).
MAX_SOCKET_PATH_BYTES = 107


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, socket_path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._socket_path = socket_path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._socket_path))


def exchange(
    socket_path: Path, method: str, path: str, body: str, *, timeout_s: float
) -> tuple[int, dict[str, Any]]:
    """Send ``body`` (JSON text, "" for none) and return (status, decoded JSON object).

    Raises ``OSError`` or ``http.client.HTTPException`` when there was no whole answer.
    """
    connection = _UnixConnection(socket_path, timeout_s)
    try:
        connection.request(method, path, body.encode() or None, {"Content-Type": "application/json"})
        response = connection.getresponse()
        decoded = json.loads(response.read())
    finally:
        connection.close()
    if not isinstance(decoded, dict):
        raise http.client.HTTPException(f"{path} answered a {type(decoded).__name__}, not an object")
    return response.status, decoded


def stream_lines(
    socket_path: Path, path: str, body: str, *, timeout_s: float
) -> Iterator[tuple[int, dict[str, Any]]]:
    """POST ``body`` and yield (status, decoded JSON object) for every line of the answer as it comes.

    Closing the iterator hangs up. Raises as ``exchange`` does.
    """
    connection = _UnixConnection(socket_path, timeout_s)
    try:
        connection.request("POST", path, body.encode(), {"Content-Type": "application/json"})
        response = connection.getresponse()
        while line := response.readline():
            if line.strip():
                yield response.status, dict(json.loads(line))
    finally:
        connection.close()

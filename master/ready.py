"""Whether a part of the master does its work already. The standard library only: the supervisor, which
runs for as long as the master does, is to stay small."""

from __future__ import annotations

import dataclasses
import http.client
import socket
from pathlib import Path
from urllib.parse import urlsplit

from tasks.files import read_text_or_empty


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ready:
    """How to find out."""

    #: ``http``: the address answers 200. ``redis``: the server whose URL is in the file answers PING.
    kind: str
    #: An address, or a file that holds one, since it has a password.
    where: str
    #: For people: "the API".
    what: str

    def holds(self) -> bool:
        try:
            return _http_answers(self.where) if self.kind == "http" else _redis_answers(Path(self.where))
        except (OSError, http.client.HTTPException):
            return False


def _http_answers(url: str) -> bool:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == 200
    finally:
        connection.close()


def _redis_answers(file: Path) -> bool:
    parts = urlsplit(read_text_or_empty(file))
    with socket.create_connection((parts.hostname or "", parts.port or 6379), timeout=2) as connection:
        connection.sendall(f"AUTH {parts.password}\r\nPING\r\n".encode())
        answer = b""
        while b"PONG" not in answer:
            more = connection.recv(1024)
            if not more or b"-" in more[:1]:
                return False
            answer += more
    return True


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True

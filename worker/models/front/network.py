"""The model server's door to the network: its address and its socket."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Generator

import uvicorn

from tasks.errors import InvalidInput, Unhealthy

_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\[\]:\s]+)):(?P<port>\d{1,5})")


def parse_address(text: str) -> tuple[str, int]:
    """(host, port) of ``HOST:PORT`` or ``[IPv6]:PORT``; port 0 is any free one."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise InvalidInput(
            f"{text!r} is no address to listen on: write HOST:PORT, for example 127.0.0.1:7610 or [::1]:7610"
        )
    return match["six"] or match["host"], int(match["port"])


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket. ``Unhealthy`` where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise Unhealthy(
            f"the model server cannot listen on {host} port {port} ({_reason(error)}): choose another address "
            "with --http or D8_MODEL_HTTP, or end what has it"
        ) from error


def _reason(error: OSError) -> str:
    """Without the address, which ``create_server`` adds; a name that is not found has no number of errno."""
    if isinstance(error, socket.gaierror) or error.errno is None:
        return error.strerror or str(error)
    return os.strerror(error.errno)


class NetworkServer(uvicorn.Server):
    """A second server in the same loop: the first one hears the signals, and stops this one."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

"""One try at one delivery, over HTTP: no redirects, no proxies, bounded in time and in what is read."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from master.webhooks.address import Target
from tasks.record import Record

_CONNECT_S = 5.0
_READ_S = 10.0
#: All of it together; a receiver that answers a byte at a time is cut off.
_WHOLE_S = 20.0
#: Of the answer, for the list of deliveries.
_MOST_BYTES = 1024


class Answer(Record):
    """What came of a try."""

    #: 0: there was no answer.
    status: int
    error: str = ""
    #: What the receiver asked for, in seconds; 0: nothing.
    retry_after_s: float = 0.0

    @property
    def arrived(self) -> bool:
        return 200 <= self.status < 300


def send(target: Target, address: str, headers: Mapping[str, str], body: bytes, *, now_s: float) -> Answer:
    """Connects to ``address``, which was checked, and speaks to ``target.host`` there."""
    connection = http.client.HTTPConnection(target.host, target.port, timeout=_READ_S)
    late = threading.Event()
    cut: threading.Timer | None = None
    try:
        raw = socket.create_connection((address, target.port), timeout=_CONNECT_S)
        connection.sock = raw
        cut = threading.Timer(_WHOLE_S, _cut_off, (raw, late))
        cut.daemon = True
        cut.start()
        if target.https:
            connection.sock = ssl.create_default_context().wrap_socket(raw, server_hostname=target.host)
        connection.sock.settimeout(_READ_S)
        # The port belongs to the host's name unless it is the usual one.
        usual = target.port == (443 if target.https else 80)
        host = f"[{target.host}]" if ":" in target.host else target.host
        connection.request(
            "POST", target.path, body, {**headers, "Host": host if usual else f"{host}:{target.port}"}
        )
        answer = connection.getresponse()
        if late.is_set():
            # What was cut off in its headers looks like an answer.
            raise TimeoutError(f"no whole answer within {_WHOLE_S:.0f} s")
        said = b"" if 200 <= answer.status < 300 else answer.read(_MOST_BYTES)
        return Answer(
            status=answer.status,
            error=said.decode("utf-8", "replace").replace("\0", "")[:500],
            retry_after_s=_read_wait(answer.getheader("Retry-After", ""), now_s),
        )
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(status=0, error=f"{type(error).__name__}: {error}"[:500])
    finally:
        if cut is not None:
            cut.cancel()
        connection.close()


def _cut_off(raw: socket.socket, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):
        raw.shutdown(socket.SHUT_RDWR)


def _read_wait(text: str, now_s: float) -> float:
    """Seconds, or a date; at most a day."""
    wait_s = 0.0
    if text.isascii() and text.isdigit():
        wait_s = float(text[:9])
    elif text:
        with contextlib.suppress(ValueError):
            wait_s = parsedate_to_datetime(text).timestamp() - now_s
    return min(max(0.0, wait_s), 86_400.0)

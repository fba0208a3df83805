"""Answers that several model servers share through a Redis or a Valkey.

It is a convenience and nothing more: whatever is wrong with it, answers are computed instead. What
comes from it was written by others, so it is read with limits here and validated by ``forms``.
"""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tasks.errors import InvalidInput

log = logging.getLogger(__name__)

PREFIX = "d8:answer:"
#: How long an answer is shared.
LIFETIME_S = 3600
#: The longest wait for one answer of the server.
TIMEOUT_S = 0.2
#: After trouble, nobody asks it for so long.
PAUSE_S = 30.0
#: The most that one answer may take up there.
MAX_VALUE_BYTES = 64 * 1024
#: What one model server may have there at any time.
SHARE_BYTES = 32 * 2**20

_COMPRESSED_ABOVE_BYTES = 1024
#: The first byte of what zlib writes; no JSON of ours begins with it.
_COMPRESSED_MARK = b"x"
#: What a value may become when it is unpacked: a small one can hold gigabytes of zeros.
_MAX_UNPACKED_BYTES = 2**20
#: About what the server needs for a key and its time to live, beside the value.
_KEY_BYTES = 200
_KEYS_PER_CALL = 256
#: Batches that wait to be written; further ones are not shared.
_MAX_WAITING = 64
_WARN_EVERY_S = 60.0


class Pipeline(Protocol):
    """Commands that are sent together."""

    def set(self, name: str, value: bytes, *, ex: int) -> Any: ...

    def execute(self) -> Any: ...


class Client(Protocol):
    """As much of ``redis.Redis`` as is used here."""

    def mget(self, keys: list[str], /) -> Any: ...

    def pipeline(self, transaction: bool) -> Any: ...

    def close(self) -> None: ...


class SharedAnswers:
    """Values of JSON by key. Never raises. Safe to use from many threads.

    Args:
        client: with short timeouts, and connecting only when used.
        where: names the server in the log, without its password.
        share_bytes: what this process may have written within an answer's lifetime, and so may have there.
    """

    def __init__(
        self,
        client: Client,
        where: str,
        *,
        share_bytes: int = SHARE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._where = where
        self._clock = clock
        self._share = Share(share_bytes, clock)
        self._lock = threading.Lock()
        self._paused_until_s = -float("inf")
        self._warned_at_s = -float("inf")
        # Answers come from the thread that computes, which must wait for nobody.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="kept-answers")
        self._places = threading.BoundedSemaphore(_MAX_WAITING)

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Of these keys, the values that are there. Waits for the server, but never long."""
        found: dict[str, bytes] = {}
        for at in range(0, len(keys), _KEYS_PER_CALL):
            if self._paused:
                break
            part = keys[at : at + _KEYS_PER_CALL]
            try:
                values = self._client.mget([PREFIX + key for key in part])
            except (redis.RedisError, OSError) as error:
                self._pause(error)
                break
            found.update(_unpacked(part, values))
        return found

    def put_many_later(self, make: Callable[[], Mapping[str, bytes]]) -> None:
        """Share what ``make`` will give: it is called and its values are sent in another thread."""
        if self._paused or not self._places.acquire(blocking=False):
            return
        # The server is being stopped: there is no later.
        with suppress(RuntimeError):
            self._writer.submit(self._write, make)

    def close(self) -> None:
        """Give up what is not written."""
        self._writer.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    @property
    def _paused(self) -> bool:
        with self._lock:
            return self._clock() < self._paused_until_s

    def _write(self, make: Callable[[], Mapping[str, bytes]]) -> None:
        try:
            self._send({key: pack(value) for key, value in make().items()})
        except (redis.RedisError, OSError) as error:
            self._pause(error)
        finally:
            self._places.release()

    def _send(self, values: Mapping[str, bytes]) -> None:
        pipeline: Pipeline = self._client.pipeline(transaction=False)
        sent = 0
        for key, value in values.items():
            if len(value) <= MAX_VALUE_BYTES and self._share.take(_KEY_BYTES + len(value)):
                pipeline.set(PREFIX + key, value, ex=LIFETIME_S)
                sent += 1
        if sent and not self._paused:
            pipeline.execute()

    def _pause(self, error: Exception) -> None:
        with self._lock:
            now_s = self._clock()
            self._paused_until_s = now_s + PAUSE_S
            if now_s - self._warned_at_s < _WARN_EVERY_S:
                return
            self._warned_at_s = now_s
        log.warning(
            "kept_answers_not_shared redis=%s pause_s=%g error=%s: %s",
            self._where, PAUSE_S, type(error).__name__, error,
        )  # fmt: skip


class Share:
    """What was written within the last lifetime of an answer, counted by the minute.

    What is older is gone by itself, so this is the most that there can be. It makes no difference how the
    server is set up: one that forgets nothing by itself, as a broker must, is not filled either.
    """

    def __init__(self, limit_bytes: int, clock: Callable[[], float]) -> None:
        self._limit_bytes = limit_bytes
        self._clock = clock
        #: (minute, bytes), the oldest first.
        self._written: deque[tuple[int, int]] = deque()
        self._bytes = 0

    def take(self, size: int) -> bool:
        """Whether there is room for so many bytes more; then they are counted. For one thread alone."""
        minute = int(self._clock() // 60)
        while self._written and self._written[0][0] < minute - LIFETIME_S // 60:
            self._bytes -= self._written.popleft()[1]
        if self._bytes + size > self._limit_bytes:
            return False
        last, already = self._written.pop() if self._written else (minute, 0)
        if last != minute:
            self._written.append((last, already))
            already = 0
        self._written.append((minute, already + size))
        self._bytes += size
        return True


def connect(url: str) -> SharedAnswers:
    """Shared answers at ``redis://`` or ``rediss://``, connected at their first use."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("redis", "rediss") or not parts.hostname:
            raise ValueError
        client = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        where = f"{parts.hostname}:{parts.port or 6379}"
    except ValueError:
        # Not with the address, which holds the password, nor with the error, which may quote it.
        raise InvalidInput(
            "D8_CACHE_URL is not the address of a Redis: write redis://:PASSWORD@HOST:PORT/0, or rediss:// "
            "for TLS, with special characters of the password as %XX"
        ) from None
    return SharedAnswers(client, where)


def pack(value: bytes) -> bytes:
    """As it is stored there."""
    return zlib.compress(value, 1) if len(value) > _COMPRESSED_ABOVE_BYTES else value


def unpack(stored: bytes) -> bytes | None:
    """The value; None where it is damaged or beyond all measure."""
    if len(stored) > MAX_VALUE_BYTES:
        return None
    if not stored.startswith(_COMPRESSED_MARK):
        return stored
    unpacker = zlib.decompressobj()
    try:
        value = unpacker.decompress(stored, _MAX_UNPACKED_BYTES)
    except zlib.error:
        return None
    return value if unpacker.eof else None


def _unpacked(keys: Sequence[str], stored: Any) -> dict[str, bytes]:
    values = {key: unpack(one) for key, one in zip(keys, stored, strict=True) if isinstance(one, bytes)}
    return {key: value for key, value in values.items() if value is not None}

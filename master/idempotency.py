"""Calls that count once: what a caller's key stood for, and the answer that it got.

The key is written down in the transaction of the call itself, so there is no moment in which one is kept
without the other. The database holds no answer that it could read: each is sealed under the caller's own
token, of which it knows only the digest. A token, an invite or a secret that was answered stays with whoever
asked for it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic_core import to_jsonable_python
from sqlalchemy import Column, Connection, Table, Text, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from master.store.metadata import metadata
from master.store.types import UtcDateTime
from tasks.errors import Refused
from tasks.record import Record

#: A key is good for so long at least.
KEPT = timedelta(hours=48)
_NONCE_BYTES = 12

idempotency = Table(
    "idempotency",
    metadata,
    # Of the caller's token and key together: nobody meets another's keys.
    Column("digest", Text, primary_key=True),
    # Of what was asked, keyed by the token.
    Column("asked", Text, nullable=False),
    # Sealed; empty only inside the transaction that makes it.
    Column("answer", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False, index=True),
)

_INSERT = {
    name: dialect.insert(idempotency).on_conflict_do_nothing(index_elements=["digest"])
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}


class Call(Record):
    """A call as its caller makes it."""

    #: The caller's bearer token or session: 256 random bits.
    credential: str
    #: Chosen by the caller; empty: the call may count every time.
    key: str
    #: Method, address and body, as they came.
    asked: bytes

    @property
    def name(self) -> str:
        """What this call is known by, for good where something is kept for good; "" without a key. Nobody else's
        key gives the same."""
        return _digest(self, b"name", self.key.encode()) if self.key else ""


def do_once(
    connection: Connection, call: Call, function: Callable[[Connection], Any], *, now: datetime
) -> tuple[Any, bool]:
    """The function's answer as JSON values, and whether it is one that was given before.

    Of several with one key the first counts; the others get its answer. ``Refused`` when the key stood for
    another call. What raises is not kept: it may be tried again under its key.
    """
    if not call.key:
        return to_jsonable_python(function(connection)), False
    name, asked = call.name, _digest(call, b"asked", call.asked)
    mine = idempotency.c.digest == name
    connection.execute(delete(idempotency).where(mine, idempotency.c.at < now - KEPT))
    values = {"digest": name, "asked": asked, "answer": "", "at": now}
    if connection.execute(_INSERT[connection.dialect.name].values(**values)).rowcount:
        answer = to_jsonable_python(function(connection))
        connection.execute(update(idempotency).where(mine).values(answer=_seal(call, answer)))
        return answer, False
    kept = connection.execute(select(idempotency).where(mine)).one()
    if not hmac.compare_digest(kept.asked, asked):
        raise Refused(
            f"the idempotency key {call.key[:80]!r} was used for another call: take a new key for a new call, or "
            f"repeat that one exactly as it was"
        )
    return _open(call, kept.answer), True


def forget_old_keys(connection: Connection, *, now: datetime) -> int:
    """Drop the keys whose time is over; returns how many."""
    return connection.execute(delete(idempotency).where(idempotency.c.at < now - KEPT)).rowcount


def _digest(call: Call, what: bytes, data: bytes) -> str:
    return hmac.new(call.credential.encode(), what + b"\0" + data, hashlib.sha256).hexdigest()


def _cipher(call: Call) -> AESGCM:
    """Its key takes the credential: nothing that the database holds yields it."""
    return AESGCM(
        hmac.new(call.credential.encode(), b"answer\0" + call.key.encode(), hashlib.sha256).digest()
    )


def _seal(call: Call, answer: Any) -> str:
    nonce = os.urandom(_NONCE_BYTES)
    return base64.b64encode(nonce + _cipher(call).encrypt(nonce, json.dumps(answer).encode(), None)).decode()


def _open(call: Call, sealed: str) -> Any:
    data = base64.b64decode(sealed)
    return json.loads(_cipher(call).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None))

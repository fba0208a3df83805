"""What an inline button carries: a verb, an approval request, its revision, and a signature.

Telegram allows 1 to 64 bytes (https://core.telegram.org/bots/api#inlinekeyboardbutton) and lets a
modified client send any bytes it likes, so what comes back is believed only with our signature.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
from typing import Annotated

from pydantic import Field, ValidationError

from tasks.errors import Refused
from tasks.record import Record

MAX_CALLBACK_BYTES = 64

#: 96 bits: guessing one takes longer than any request lives, and 16 characters leave room for the rest.
_MAC_BYTES = 12


class Verb(enum.StrEnum):
    APPROVE = "a"
    REJECT = "r"
    DETAILS = "d"
    #: Done, for exactly what was approved.
    DONE = "e"
    ABANDON = "x"


class Press(Record):
    """What pressing a button asks for."""

    verb: Verb
    approval_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
    #: Of the request that the button was shown for; an older one decides nothing.
    revision: Annotated[int, Field(ge=0, le=99_999_999)]


def callback_key(token: str) -> bytes:
    """The signing key of this bot: known to whoever holds its token, and to nobody else."""
    return hmac.digest(token.encode(), b"d8 telegram buttons, version 1", hashlib.sha256)


def encode_press(press: Press, key: bytes) -> str:
    """The button's data, at most 64 bytes of ASCII."""
    body = f"{press.verb.value}:{press.approval_id}:{press.revision}"
    return f"{body}:{_signature(body, key)}"


def decode_press(data: str, key: bytes) -> Press:
    """Reverse of ``encode_press``; ``Refused`` when the data is not exactly what we signed."""
    body, _, signature = data.rpartition(":")
    if not hmac.compare_digest(signature.encode("utf-8", "replace"), _signature(body, key).encode()):
        raise Refused(
            f"the button's data {data[:MAX_CALLBACK_BYTES]!r} was not signed by this bot: answer the request "
            f"from a fresh list (/pending)"
        )
    try:
        verb, approval_id, revision = body.split(":")
        return Press(verb=Verb(verb), approval_id=approval_id, revision=int(revision))
    except (ValueError, ValidationError):
        raise Refused(
            f"the button's data {data!r} has a form that this build does not know: answer the request from "
            f"a fresh list (/pending)"
        ) from None


def _signature(body: str, key: bytes) -> str:
    mac = hmac.digest(key, body.encode("utf-8", "replace"), hashlib.sha256)[:_MAC_BYTES]
    return base64.urlsafe_b64encode(mac).decode("ascii")

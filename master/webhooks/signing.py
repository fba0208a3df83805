"""Secrets and signatures, as https://www.standardwebhooks.com lays them down (version 1.0.0)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from master.store.artifacts import write_whole
from tasks.errors import Unhealthy

#: The key's file in the secrets folder.
SEALED_UNDER = "webhooks.key"
_PREFIX = "whsec_"
_KEY_BYTES = 32
_NONCE_BYTES = 12


def new_secret() -> str:
    """256 random bits, written as receivers' libraries read them."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def sign(secret: str, message_id: str, timestamp_s: int, body: str) -> str:
    """The header ``webhook-signature`` for exactly this body."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    digest = hmac.new(key, f"{message_id}.{timestamp_s}.{body}".encode(), hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


class Sealer:
    """Keeps secrets under a key of the secrets folder: the database alone does not yield them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def seal(self, secret: str) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher().encrypt(nonce, secret.encode(), None)).decode()

    def open(self, sealed: str) -> str:
        """``Unhealthy``: it was sealed under a key that is not there any more."""
        data = base64.b64decode(sealed)
        try:
            return self._cipher().decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None).decode()
        except InvalidTag:
            raise Unhealthy(
                f"the webhook's secret was sealed under another key than {self._path}: put that file back, or "
                f"remove the webhook and add it again"
            ) from None

    def _cipher(self) -> AESGCM:
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(self._path, secrets.token_bytes(_KEY_BYTES), mode=0o600)
        return AESGCM(self._path.read_bytes())

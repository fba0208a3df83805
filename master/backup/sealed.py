"""Encryption of a stream: ChaCha20-Poly1305 in chunks, under a key that scrypt makes of a passphrase.

A file is the header, then chunks of exactly ``CHUNK`` bytes and a last one that may be shorter, each
followed by its 16-byte tag. A chunk's nonce holds its number and whether it is the last, and every
chunk authenticates the header: chunks can be neither changed, moved nor left off unnoticed.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from tasks.errors import InvalidInput

MAGIC = b"D8SEAL1\n"
CHUNK = 64 * 1024
_TAG = 16
_SALT = 16
_PREFIX = 7
_HEADER = len(MAGIC) + 1 + _SALT + _PREFIX
#: scrypt takes 2^16 * 1 KiB = 64 MiB of memory: a second on a Raspberry Pi.
COST = 16
#: A forged header must not make the reader use gigabytes.
_COSTS = range(10, 19)


class Sealer:
    """A writable stream; what is written to it arrives encrypted in ``target``. ``finish`` ends it."""

    def __init__(self, target: BinaryIO, passphrase: str, *, cost: int = COST) -> None:
        self._target = target
        self._header = MAGIC + bytes([cost]) + os.urandom(_SALT + _PREFIX)
        self._cipher = _cipher(passphrase, self._header)
        self._waiting = bytearray()
        self._number = 0
        target.write(self._header)

    def write(self, data: bytes) -> int:
        self._waiting += data
        # The last full chunk waits, since it may be the last of all.
        while len(self._waiting) > CHUNK:
            self._put(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]
        return len(data)

    def finish(self) -> None:
        """Write the last chunk. Without it the file is known to be cut off."""
        self._put(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _put(self, chunk: bytes, *, last: bool) -> None:
        nonce = _nonce(self._header, self._number, last)
        self._target.write(self._cipher.encrypt(nonce, chunk, self._header))
        self._number += 1


class Opener:
    """A readable stream of what a ``Sealer`` was given. ``InvalidInput``: wrong passphrase, or damage."""

    def __init__(self, source: BinaryIO, passphrase: str) -> None:
        self._source = source
        self._header = source.read(_HEADER)
        if len(self._header) < _HEADER or not is_sealed(self._header):
            raise InvalidInput("the backup's header is damaged: use another copy of the file")
        self._cipher = _cipher(passphrase, self._header)
        self._next = source.read(CHUNK + _TAG)
        self._number = 0
        self._opened = bytearray()
        self._ended = False

    def read(self, size: int = -1) -> bytes:
        while not self._ended and (size < 0 or len(self._opened) < size):
            self._open_one()
        size = len(self._opened) if size < 0 else size
        found = bytes(self._opened[:size])
        del self._opened[:size]
        return found

    def _open_one(self) -> None:
        chunk, self._next = self._next, self._source.read(CHUNK + _TAG)
        last = not self._next
        try:
            plain = self._cipher.decrypt(_nonce(self._header, self._number, last), chunk, self._header)
        except InvalidTag:
            raise InvalidInput(_why(self._number)) from None
        self._opened += plain
        self._number += 1
        self._ended = last


def is_sealed(start: bytes) -> bool:
    """Whether a file that begins so is encrypted."""
    return start.startswith(MAGIC)


def _why(number: int) -> str:
    if number == 0:
        return (
            "the backup cannot be opened: the passphrase is wrong, or the file is damaged at its start; "
            "try the passphrase again, or another copy of the file"
        )
    return f"the backup is damaged or cut off after {number * CHUNK} bytes of content: use another copy of the file"


def _cipher(passphrase: str, header: bytes) -> ChaCha20Poly1305:
    cost, salt = header[len(MAGIC)], header[len(MAGIC) + 1 : len(MAGIC) + 1 + _SALT]
    if cost not in _COSTS:
        raise InvalidInput("the backup's header is damaged: use another copy of the file")
    return ChaCha20Poly1305(Scrypt(salt=salt, length=32, n=2**cost, r=8, p=1).derive(passphrase.encode()))


def _nonce(header: bytes, number: int, last: bool) -> bytes:
    return header[-_PREFIX:] + number.to_bytes(4, "big") + bytes([last])

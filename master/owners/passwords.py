"""Passwords: which are good enough, and what is kept of them.

Argon2id with the parameters that OWASP names first for it: 19 MiB, two passes, one lane
(https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html). A Raspberry Pi 4 takes some
150 ms for one, and the memory is free again afterwards.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from master.owners.common import COMMON
from master.owners.limits import TooMany
from tasks.errors import InvalidInput

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")

SHORTEST = 10
LONGEST = 200
_FEWEST_CHARACTERS = 5
_MEMORY_KIB = 19_456
_PASSES = 2
_LANES = 1
#: Checks at the same time, each with its memory; more wait, and beyond these are told to come back.
_AT_ONCE = 2
_MOST_WAITING = 16
#: Of a password that nobody has: an unknown name costs the same work as a known one.
NOBODYS = "$argon2id$v=19$m=19456,t=2,p=1$ZDgtbm9ib2R5LXNhbHQtMQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


class WeakPassword(InvalidInput):
    """``why``: short, long, common or name."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


def check_new_password(password: str, name: str) -> str:
    """The password as it is kept (NFC). ``WeakPassword`` says what is wrong with it, without repeating it."""
    password = unicodedata.normalize("NFC", password)
    if len(password) < SHORTEST:
        raise WeakPassword(
            f"the password has {len(password)} characters: take {SHORTEST} or more, such as four words",
            "short",
        )
    if len(password) > LONGEST:
        raise WeakPassword(f"the password has {len(password)} characters: {LONGEST} are the most", "long")
    plain = password.casefold()
    if plain in COMMON or len(set(plain)) < _FEWEST_CHARACTERS:
        raise WeakPassword(
            "this password is among the first that are tried: take another, such as four words", "common"
        )
    if len(plain.replace(name.casefold(), "")) < SHORTEST // 2:
        raise WeakPassword(
            "this password is little more than the name: take another, such as four words", "name"
        )
    return password


class PasswordBench:
    """Makes and checks digests of passwords, off the event loop and a few at a time."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def digest(self, password: str) -> str:
        """A digest with a salt of its own."""
        return await self._work(lambda: _hasher().hash(_fitting(password)))

    async def check(self, digest: str, password: str) -> bool:
        """Whether this is the password. ``digest`` "": there is none, which costs the same work."""
        return await self._work(lambda: _check(digest or NOBODYS, password))

    @staticmethod
    def is_outdated(digest: str) -> bool:
        """Made with other parameters than today's: to be made again when the password is next known."""
        return _hasher().check_needs_rehash(digest)

    async def _work(self, function: Callable[[], T]) -> T:
        if self._waiting >= _MOST_WAITING:
            raise TooMany("too many people log in at this moment: try again in some seconds", wait_s=5)
        self._waiting += 1
        try:
            async with self._room:
                return await asyncio.to_thread(function)
        finally:
            self._waiting -= 1


def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=_LANES)


def _check(digest: str, password: str) -> bool:
    from argon2.exceptions import VerificationError

    try:
        return _hasher().verify(digest, _fitting(password))
    except VerificationError:
        return False


def _fitting(password: str) -> bytes:
    """As it was kept; what is longer than any that we keep is cut, and is wrong anyway."""
    return unicodedata.normalize("NFC", password[: 2 * LONGEST]).encode("utf-8", "surrogatepass")

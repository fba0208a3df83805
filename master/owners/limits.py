"""How often somebody may try to log in. In memory: who restarts the master has its files anyway."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from tasks.errors import Refused

#: Failures that cost nothing, for one account and for one address. Behind a reverse proxy all have one address.
FREE_FOR_ACCOUNT = 5
FREE_FOR_ADDRESS = 20
_FIRST_WAIT_S = 15.0
LONGEST_WAIT_S = 900.0
#: What is remembered of failures when nobody fails any more.
_FORGOTTEN_S = 3600.0
_MOST_KEPT = 2000


class TooMany(Refused):
    """Too many tries. ``wait_s``: after how many seconds the next one is looked at."""

    def __init__(self, message: str, *, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = math.ceil(wait_s)


class _Failures:
    def __init__(self) -> None:
        self.count = 0
        self.last_s = 0.0
        self.free_again_s = 0.0


class LoginLimits:
    """Counts failures by account and by address; each beyond the free ones doubles the wait."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._failures: dict[str, _Failures] = {}

    def check(self, account: str, address: str) -> None:
        """``TooMany`` while either has to wait; such a try is not looked at, and does not count."""
        now_s = self._clock_s()
        wait_s = max(
            (
                known.free_again_s - now_s
                for key in _keys(account, address)
                if (known := self._failures.get(key))
            ),
            default=0.0,
        )
        if wait_s > 0:
            raise TooMany(
                f"too many logins have failed: try again in {math.ceil(wait_s)} s, or enter with the link that "
                f"'d8 dashboard' prints on the master's machine",
                wait_s=wait_s,
            )

    def begin(self, account: str, address: str) -> None:
        """``check``, and count the try as a failure until ``succeed``: of many at once, only the free ones
        are looked at."""
        self.check(account, address)
        self.fail(account, address)

    def fail(self, account: str, address: str) -> None:
        now_s = self._clock_s()
        if len(self._failures) >= _MOST_KEPT:
            self._forget(now_s)
        for key, free in zip(_keys(account, address), (FREE_FOR_ACCOUNT, FREE_FOR_ADDRESS), strict=True):
            known = self._failures.setdefault(key, _Failures())
            if now_s - known.last_s > _FORGOTTEN_S:
                known.count = 0
            known.count, known.last_s = known.count + 1, now_s
            known.free_again_s = now_s + wait_after(known.count, free)

    def succeed(self, account: str, address: str) -> None:
        """Who is in has proved themselves: the account's failures are forgotten, and of the address's the one
        that this try was counted as."""
        by_account, by_address = _keys(account, address)
        self._failures.pop(by_account, None)
        if known := self._failures.get(by_address):
            known.count -= 1
            if wait_after(known.count, FREE_FOR_ADDRESS) == 0:
                known.free_again_s = 0.0

    def _forget(self, now_s: float) -> None:
        """Those that wait are kept. When all do, the ones that wait least go."""
        kept = {key: each for key, each in self._failures.items() if each.free_again_s > now_s}
        longest = sorted(kept.items(), key=lambda item: item[1].free_again_s, reverse=True)
        self._failures = dict(longest[: _MOST_KEPT // 2])


def wait_after(failures: int, free: int) -> float:
    """Seconds to wait after so many failures in a row."""
    beyond = failures - free
    return 0.0 if beyond < 0 else min(LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(beyond, 20))


def _keys(account: str, address: str) -> tuple[str, str]:
    return f"account:{account[:100]}", f"address:{address[:100]}"

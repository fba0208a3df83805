"""A circuit breaker: after several failures in a row nobody waits for the master again and again.

Open, it refuses at once for a minute, but for calls that are due anyway (heartbeats and renewals):
those go through, and the first that is answered closes it for every process of the worker.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable

FAILURES = 5
OPEN_S = 60.0


class Breaker:
    """One per process; what they share is made before the fork, by ``make_shared``."""

    def __init__(self, shared: Answered, clock: Callable[[], float] = time.monotonic) -> None:
        self._shared = shared
        self._clock = clock
        self._failures = 0
        self._failed_at = 0.0
        self._opened_at = 0.0

    @property
    def left_s(self) -> float:
        """For how long it still refuses; 0 when it is closed."""
        if not self._opened_at or self._shared.value > self._opened_at:
            return 0.0
        return max(0.0, self._opened_at + OPEN_S - self._clock())

    def answered(self) -> None:
        """The master has answered, whatever it said."""
        self._failures = 0
        self._opened_at = 0.0
        self._shared.value = self._clock()

    def failed(self) -> None:
        """There was no answer."""
        if self._shared.value > self._failed_at:
            self._failures = 0
        self._failures += 1
        self._failed_at = self._clock()
        if self._failures >= FAILURES:
            # After a minute open it is tried once, and the next failure opens it again.
            self._opened_at = self._failed_at


class Answered:
    """When the master last answered any process of this worker, by the machine's monotonic clock."""

    def __init__(self) -> None:
        # Read and written whole; the newest wins, whoever wrote it.
        self._value = multiprocessing.RawValue("d", 0.0)

    @property
    def value(self) -> float:
        return float(self._value.value)

    @value.setter
    def value(self, at: float) -> None:
        self._value.value = at

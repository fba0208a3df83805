"""A fault, what it is given, and the list of them all."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import signal
import time
from collections.abc import Callable

from tests.faults.host import WorkerHost
from tests.faults.stage import QUICK, Stage

LEASE_S = float(QUICK["D8_LEASE_S"])


@dataclasses.dataclass
class Play:
    """One seed on one stage."""

    stage: Stage
    chance: random.Random
    #: Runs of this seed; a fault may add some of its own.
    runs: list[str]
    seed: int

    def any_host(self) -> WorkerHost:
        return self.chance.choice(self.stage.hosts)


Fault = Callable[[Play], None]
FAULTS: dict[str, Fault] = {}


def fault(name: str) -> Callable[[Fault], Fault]:
    def register(function: Fault) -> Fault:
        FAULTS[name] = function
        return function

    return register


def kill(pid: int | None) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def hold(seconds: float) -> None:
    """A fault lasts: nothing can be waited for but the time."""
    time.sleep(seconds)

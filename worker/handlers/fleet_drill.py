"""Crashes, hangs, fills memory or fails."""

from __future__ import annotations

import os
import signal
import time

from tasks.errors import TransientFailure
from tasks.fleet_drill import Behavior, Request, Result
from worker.handlers.context import Context

_MIB = 2**20


def handle(request: Request, context: Context) -> Result:
    """Never succeeds."""
    if request.behavior is Behavior.CRASH:
        os.kill(os.getpid(), signal.SIGKILL)
    if request.behavior is Behavior.FAIL:
        raise TransientFailure("it was asked to fail")
    held = []
    if request.behavior is Behavior.ALLOCATE:
        for _ in range(request.memory_mib):
            # Written to: memory that is only promised costs nothing.
            held.append(b"\1" * _MIB)
    while True:
        time.sleep(0.1)

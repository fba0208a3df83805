"""Does nothing, or waits a little."""

from __future__ import annotations

import time

from tasks.fleet_noop import Request, Result
from worker.handlers.context import Context

_TICK_S = 0.2


def handle(request: Request, context: Context) -> Result:
    """Stay busy for ``duration_s``, saying how far it is."""
    started_at_s = time.time()
    end = time.monotonic() + request.duration_s
    while (left := end - time.monotonic()) > 0:
        context.progress(1 - left / request.duration_s, "waiting")
        time.sleep(min(left, _TICK_S))
    return Result(echo=request.echo, started_at_s=started_at_s)

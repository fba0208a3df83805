"""How Celery's parent process hears of a child that died or was killed in the middle of a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery.worker.request import Request

from tasks.protocol import Failure

#: Set by ``worker.app``: called with step, attempt, failure and text.
on_lost: Callable[[int, int, Failure, str], None] | None = None


class TicketRequest(Request):  # type: ignore[misc]
    """Tells the agent at once, so that the step need not wait for its lease to run out."""

    def on_timeout(self, soft: bool, timeout: float) -> None:
        super().on_timeout(soft, timeout)
        if not soft:
            self._tell(Failure.DEADLINE, f"it ran past its deadline and was killed after {timeout:.0f} s")

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        # Billiard wraps what it raises itself, for its traceback.
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        if isinstance(error, WorkerLostError):
            self._tell(Failure.CRASHED, f"its process died: {error}")
        elif isinstance(error, TimeLimitExceeded):
            self._tell(Failure.DEADLINE, "it ran past its deadline and was killed")
        return super().on_failure(exc_info, send_failed_event, return_ok)

    def _tell(self, failure: Failure, text: str) -> None:
        if on_lost is not None:
            on_lost(int(self.kwargs["step"]), int(self.kwargs["attempt"]), failure, text[:2000])

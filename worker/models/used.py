"""Which models an attempt asked, for its record."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any, Protocol

from worker.models.protocol import Models
from worker.models.unix_http import exchange
from worker.models.wire import DescribeReply, DescribeRequest, Health

log = logging.getLogger(__name__)

#: For all descriptions together: a result does not wait for its footnotes.
_PATIENCE_S = 2.0


class RecordedModels(Models, Protocol):
    """Models that can say afterwards which of them were asked."""

    def describe_used(self) -> list[dict[str, str]]:
        """``{"model", "sha256", "dtype", "device"}`` of each; what is not known is ""."""
        ...


class UsedModels:
    """The references that one client was asked with, in the order of their first use."""

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = socket_path
        self._lock = threading.Lock()
        self._known: dict[str, DescribeReply | None] = {}

    def note(self, reference: str) -> None:
        """It was asked."""
        with self._lock:
            self._known.setdefault(reference, None)

    def keep(self, reference: str, description: DescribeReply) -> None:
        """Somebody wanted to know: it need not be asked again."""
        with self._lock:
            if reference in self._known:
                self._known[reference] = description

    def describe(self) -> list[dict[str, str]]:
        """Each model, asked at the server once. Never raises and never takes long: what the server does
        not say at once stays ""."""
        try:
            self._ask_server(time.monotonic() + _PATIENCE_S)
        except Exception:  # the step's outcome stands, whatever became of the server since
            log.debug("models_not_described socket=%s", self._socket_path, exc_info=True)
        with self._lock:
            found = [
                description or DescribeReply(model=reference, sha256="", dtype="", device="")
                for reference, description in self._known.items()
            ]
        # Two references may be one model: the default, and its name.
        return [each.model_dump() for each in dict.fromkeys(found)]

    def _ask_server(self, until_s: float) -> None:
        with self._lock:
            wanted = [reference for reference, known in self._known.items() if known is None]
        if not wanted:
            return
        _, health = self._exchange("GET", "/health", "", until_s)
        # Asking for a model that was dropped since would load it again, and drop another one.
        loaded = Health.model_validate(health).stats.models
        for reference in wanted:
            if reference and reference not in loaded:
                continue
            body = DescribeRequest(model=reference).model_dump_json()
            status, answer = self._exchange("POST", "/describe", body, until_s)
            if status == 200:
                self.keep(reference, DescribeReply.model_validate(answer))

    def _exchange(self, method: str, path: str, body: str, until_s: float) -> tuple[int, dict[str, Any]]:
        # Not 0, which would mean a socket that never waits.
        timeout_s = max(0.01, until_s - time.monotonic())
        return exchange(self._socket_path, method, path, body, timeout_s=timeout_s)

"""One attempt as its handler sees it, and the lease that is kept meanwhile."""

from __future__ import annotations

import hashlib
import logging
import threading

from tasks.errors import Cancelled, D8Error, NotFound, PermanentFailure, StaleToken, TransientFailure
from tasks.log import say
from tasks.protocol import Grant, Renewal
from worker.master_client import MasterClient, patiently
from worker.models.used import RecordedModels

log = logging.getLogger("d8.attempt")

#: A result may be tried so often before it is spooled, an artifact before its attempt fails.
TRIES = 3


class Attempt:
    """Implements ``worker.handlers.context.Context``."""

    def __init__(self, grant: Grant, client: MasterClient, models: RecordedModels, worker: str) -> None:
        self.grant = grant
        self.worker = worker
        self.attempt = grant.attempt
        self.models = models
        self._client = client
        self.fraction = 0.0
        self.note = ""
        #: Why it must stop, or "".
        self.stop_reason = ""

    def progress(self, fraction: float, note: str = "") -> None:
        self.fraction = min(1.0, max(0.0, fraction))
        self.note = note[:500]
        if self.stop_reason:
            raise Cancelled(self.stop_reason)

    def read_artifact(self, digest: str) -> bytes:
        try:
            return patiently(lambda: self._client.read_artifact(digest), tries=TRIES, what="read artifact")
        except NotFound as error:
            raise PermanentFailure(str(error)) from error
        except D8Error as error:
            raise TransientFailure(str(error)) from error

    def write_artifact(self, name: str, data: bytes, media_type: str) -> str:
        digest = hashlib.sha256(data).hexdigest()
        try:
            patiently(
                lambda: self._client.write_artifact(
                    digest, data, name=name, media_type=media_type, run=self.grant.run
                ),
                tries=TRIES,
                what="write artifact",
            )
        except D8Error as error:
            raise TransientFailure(str(error)) from error
        return digest


class LeaseKeeper:
    """One thread per process that renews the leases of the attempts that it holds."""

    def __init__(self, client: MasterClient) -> None:
        self._client = client
        self._held: dict[int, Attempt] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def hold(self, attempt: Attempt) -> None:
        """Renew this attempt's lease from now on."""
        with self._lock:
            self._held[attempt.grant.step] = attempt
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="lease", daemon=True)
                self._thread.start()

    def release(self, attempt: Attempt) -> None:
        with self._lock:
            self._held.pop(attempt.grant.step, None)

    def _work(self) -> None:
        # A no-op step is over long before its first renewal: the thread looks at what is held, instead
        # of being woken for each step.
        wait_s = 1.0
        while not self._stopping.wait(wait_s):
            with self._lock:
                held = list(self._held.values())
            for attempt in held:
                self._renew(attempt)
            wait_s = min([1.0 if not held else 5.0, *(attempt.grant.lease_s / 3 for attempt in held)])

    def _renew(self, attempt: Attempt) -> None:
        try:
            self._client.renew(
                Renewal(
                    step=attempt.grant.step,
                    token=attempt.grant.token,
                    progress=attempt.fraction,
                    note=attempt.note,
                )
            )
        except StaleToken as error:
            # Cancelled, or given to another. Also the
            # answer to a renewal that crossed with its own report: then nobody reads the reason.
            attempt.stop_reason = str(error)
        except D8Error as error:
            # The result counts as long as nobody else is granted the step: go on.
            say(log, logging.WARNING, "renewal_failed", step=attempt.grant.step, error=str(error))

"""What a handler is given beside its request."""

from __future__ import annotations

from typing import Protocol

from worker.models.protocol import Models


class Context(Protocol):
    """One attempt at one step, as its handler sees it.

    A handler is ``handle(request: Request, context: Context) -> Result`` in
    ``worker/handlers/<group>_<verb>.py``. It raises ``PermanentFailure`` when trying again cannot
    help and ``TransientFailure`` when it may; any other exception counts as permanent, with its
    text recorded.
    """

    #: Number of this attempt, from 1.
    attempt: int
    #: The worker that runs it.
    worker: str
    models: Models

    def progress(self, fraction: float, note: str = "") -> None:
        """Say how far it is (0..1). Cheap: sent with the next lease renewal.

        Raises ``Cancelled`` when the master has cancelled the step or taken it away.
        """
        ...

    def read_artifact(self, digest: str) -> bytes:
        """The artifact of this sha256, from the local cache or the master; verified."""
        ...

    def write_artifact(self, name: str, data: bytes, media_type: str) -> str:
        """Store bytes on the master before the step ends; returns the sha256 to put in the result."""
        ...

"""The states of a client project and the allowed moves between them."""

from __future__ import annotations

import enum

from tasks.errors import MoveNotAllowed


class ClientState(enum.StrEnum):
    PENDING = "pending"
    #: From the watcher's take until the owner's decision; waiting for it included.
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


MOVES: dict[ClientState, frozenset[ClientState]] = {
    ClientState.PENDING: frozenset({ClientState.IN_PROGRESS}),
    ClientState.IN_PROGRESS: frozenset({ClientState.COMPLETED, ClientState.FAILED}),
    ClientState.COMPLETED: frozenset(),
    # When its failed run is tried again.
    ClientState.FAILED: frozenset({ClientState.IN_PROGRESS}),
}


def check_move(client_id: str, old: ClientState, new: ClientState) -> None:
    """Raise ``MoveNotAllowed`` unless the table allows it."""
    if new not in MOVES[old]:
        allowed = ", ".join(sorted(MOVES[old])) or "nothing: it is over"
        raise MoveNotAllowed(
            f"client {client_id} is {old} and cannot become {new} (allowed from there: {allowed}): "
            f"to deliver the same brief again, add it with --again"
        )

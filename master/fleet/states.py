"""The states of a worker and the allowed moves."""

from __future__ import annotations

import enum

from tasks.errors import MoveNotAllowed


class WorkerState(enum.StrEnum):
    ACTIVE = "active"
    #: Finishes what it runs and gets nothing new.
    DRAINING = "draining"
    #: Its code is not the fleet's: it gets no work.
    WRONG_BUILD = "wrong_build"
    OFFLINE = "offline"


WORKER_MOVES: dict[WorkerState, frozenset[WorkerState]] = {
    WorkerState.ACTIVE: frozenset({WorkerState.DRAINING, WorkerState.WRONG_BUILD, WorkerState.OFFLINE}),
    WorkerState.DRAINING: frozenset({WorkerState.ACTIVE, WorkerState.WRONG_BUILD, WorkerState.OFFLINE}),
    WorkerState.WRONG_BUILD: frozenset({WorkerState.ACTIVE, WorkerState.OFFLINE}),
    WorkerState.OFFLINE: frozenset({WorkerState.ACTIVE, WorkerState.DRAINING, WorkerState.WRONG_BUILD}),
}


def check_worker_move(name: str, old: WorkerState, new: WorkerState) -> None:
    """``MoveNotAllowed`` names the worker and both states."""
    if old is not new and new not in WORKER_MOVES[old]:
        allowed = ", ".join(sorted(WORKER_MOVES[old]))
        raise MoveNotAllowed(f"worker {name!r} is {old} and cannot become {new}: it may become {allowed}")


def state_on_join(build: str, fleet_build: str, *, was_draining: bool) -> WorkerState:
    """Where a worker that has just been heard from belongs."""
    if build != fleet_build:
        return WorkerState.WRONG_BUILD
    return WorkerState.DRAINING if was_draining else WorkerState.ACTIVE

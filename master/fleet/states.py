"""The states of a worker and the allowed moves."""

from __future__ import annotations

import enum

from tasks.errors import MoveNotAllowed


class WorkerState(enum.StrEnum):
    #: Invited, or on trial with a new build: gets nothing but its canary step.
    JOINING = "joining"
    ACTIVE = "active"
    #: Finishes what it runs and gets nothing new.
    DRAINING = "draining"
    #: Its code is not the fleet's: it gets no work.
    WRONG_BUILD = "wrong_build"
    #: What fails here succeeds elsewhere: it gets no work until somebody has looked.
    QUARANTINED = "quarantined"
    OFFLINE = "offline"
    #: Its owner took it out: its token and its broker user are gone.
    REMOVED = "removed"


_HEARD_FROM = frozenset(
    {
        WorkerState.JOINING,
        WorkerState.ACTIVE,
        WorkerState.DRAINING,
        WorkerState.WRONG_BUILD,
        WorkerState.QUARANTINED,
    }
)
#: Whoever is heard from may turn out to be anything, and may go silent or be removed.
WORKER_MOVES: dict[WorkerState, frozenset[WorkerState]] = {
    **{state: (_HEARD_FROM - {state}) | {WorkerState.OFFLINE, WorkerState.REMOVED} for state in _HEARD_FROM},
    WorkerState.OFFLINE: _HEARD_FROM | {WorkerState.REMOVED},
    WorkerState.REMOVED: _HEARD_FROM,
}
#: Work that is wrong here may be right elsewhere, but a quarantine is not left by draining.
WORKER_MOVES[WorkerState.QUARANTINED] -= {WorkerState.DRAINING}


def check_worker_move(name: str, old: WorkerState, new: WorkerState) -> None:
    """``MoveNotAllowed`` names the worker and both states."""
    if old is not new and new not in WORKER_MOVES[old]:
        allowed = ", ".join(sorted(WORKER_MOVES[old]))
        raise MoveNotAllowed(f"worker {name!r} is {old} and cannot become {new}: it may become {allowed}")


def state_on_join(
    build: str, fleet_build: str, *, was: WorkerState | None = None, on_trial: bool = False
) -> WorkerState:
    """Where a worker that has just been heard from belongs. ``was``: its state until now."""
    if build != fleet_build:
        return WorkerState.WRONG_BUILD
    if on_trial:
        return WorkerState.JOINING
    if was in (WorkerState.DRAINING, WorkerState.QUARANTINED):
        return was
    return WorkerState.ACTIVE

"""The states of steps and runs, and the moves that are allowed."""

from __future__ import annotations

import enum

from tasks.errors import MoveNotAllowed


class StepState(enum.StrEnum):
    #: May be sent to a lane as soon as it has a free slot.
    READY = "ready"
    #: A ticket is out; whoever claims it first runs it.
    QUEUED = "queued"
    #: Claimed: a worker holds a lease on it.
    RUNNING = "running"
    #: Waits for a human.
    WAITING = "waiting"
    DONE = "done"
    #: Every attempt failed, or the first failure was permanent.
    FAILED = "failed"
    CANCELLED = "cancelled"


class RunState(enum.StrEnum):
    RUNNING = "running"
    #: Nothing moves until a human answers.
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepKind(enum.StrEnum):
    TASK = "task"
    APPROVAL = "approval"
    ACT = "act"


STEP_MOVES: dict[StepState, frozenset[StepState]] = {
    StepState.READY: frozenset({StepState.QUEUED, StepState.DONE, StepState.FAILED, StepState.CANCELLED}),
    StepState.QUEUED: frozenset(
        {StepState.RUNNING, StepState.READY, StepState.DONE, StepState.FAILED, StepState.CANCELLED}
    ),
    StepState.RUNNING: frozenset({StepState.DONE, StepState.FAILED, StepState.READY, StepState.CANCELLED}),
    StepState.WAITING: frozenset({StepState.DONE, StepState.CANCELLED}),
    StepState.DONE: frozenset(),
    # A human may have a failed step tried again.
    StepState.FAILED: frozenset({StepState.READY}),
    # A run that failed cancels what it still had open; it goes on with the run.
    StepState.CANCELLED: frozenset({StepState.READY}),
}

RUN_MOVES: dict[RunState, frozenset[RunState]] = {
    RunState.RUNNING: frozenset({RunState.WAITING, RunState.DONE, RunState.FAILED, RunState.CANCELLED}),
    RunState.WAITING: frozenset({RunState.RUNNING, RunState.DONE, RunState.FAILED, RunState.CANCELLED}),
    RunState.DONE: frozenset(),
    RunState.FAILED: frozenset({RunState.RUNNING}),
    RunState.CANCELLED: frozenset(),
}

ENDED_STEPS = (StepState.DONE, StepState.FAILED, StepState.CANCELLED)
OPEN_STEPS = tuple(state for state in StepState if state not in ENDED_STEPS)
OPEN_RUNS = (RunState.RUNNING, RunState.WAITING)


def check_run_move(run_id: str, old: RunState, new: RunState) -> None:
    """``MoveNotAllowed`` names the run and both states."""
    if new not in RUN_MOVES[old]:
        allowed = ", ".join(sorted(RUN_MOVES[old])) or "nothing: it has ended"
        raise MoveNotAllowed(f"run {run_id} is {old} and cannot become {new}: it may become {allowed}")


def check_step_move(step_id: int, old: StepState, new: StepState) -> None:
    """``MoveNotAllowed`` names the step and both states."""
    if new not in STEP_MOVES[old]:
        allowed = ", ".join(sorted(STEP_MOVES[old])) or "nothing: it has ended"
        raise MoveNotAllowed(f"step {step_id} is {old} and cannot become {new}: it may become {allowed}")

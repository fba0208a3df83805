"""The states of a worker: who may become what."""

from __future__ import annotations

import pytest

from master.fleet.states import WORKER_MOVES, WorkerState, check_worker_move, state_on_join
from tasks.errors import MoveNotAllowed


def test_every_state_has_its_moves() -> None:
    assert set(WORKER_MOVES) == set(WorkerState)


def test_quarantine_is_not_left_by_draining() -> None:
    with pytest.raises(MoveNotAllowed, match="'garage' is quarantined and cannot become draining"):
        check_worker_move("garage", WorkerState.QUARANTINED, WorkerState.DRAINING)


@pytest.mark.parametrize("was", [None, *WorkerState])
def test_wrong_build_goes_before_everything_else(was: WorkerState | None) -> None:
    assert state_on_join("a", "b", was=was, on_trial=True) is WorkerState.WRONG_BUILD


@pytest.mark.parametrize(
    ("was", "on_trial", "expected"),
    [
        (None, False, WorkerState.ACTIVE),
        (WorkerState.OFFLINE, False, WorkerState.ACTIVE),
        (WorkerState.DRAINING, False, WorkerState.DRAINING),
        (WorkerState.QUARANTINED, False, WorkerState.QUARANTINED),
        (WorkerState.WRONG_BUILD, True, WorkerState.JOINING),
    ],
)
def test_worker_of_the_right_build(was: WorkerState | None, on_trial: bool, expected: WorkerState) -> None:
    assert state_on_join("a", "a", was=was, on_trial=on_trial) is expected

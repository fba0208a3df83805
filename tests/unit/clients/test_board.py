"""A project stands in the column of what the others wait for."""

from __future__ import annotations

import pytest

from master.clients.board import Stage, stage_of
from master.clients.states import ClientState

PROGRESS = ClientState.IN_PROGRESS


@pytest.mark.parametrize(
    ("state", "keys", "waits", "stage"),
    [
        (ClientState.PENDING, [], False, Stage.BRIEF),
        (PROGRESS, [], False, Stage.DISCOVERY),
        (PROGRESS, [("discovery:analyst:facts", True)], False, Stage.DISCOVERY),
        (
            PROGRESS,
            [("design:designer:look:v1", False), ("build:designer:artwork:v1", True)],
            False,
            Stage.BUILD,
        ),
        (
            PROGRESS,
            [("quality:strategist:summary", True), ("build:developer:site:b1", True)],
            False,
            Stage.BUILD,
        ),
        (PROGRESS, [("quality:reviewer:review:b1", False)], False, Stage.QUALITY),
        (PROGRESS, [("quality:reviewer:review:b1", False)], True, Stage.DECISION),
        (PROGRESS, [("approval:1", True)], False, Stage.DISCOVERY),
        (ClientState.COMPLETED, [("build:developer:site:b1", False)], False, Stage.DELIVERED),
        (ClientState.FAILED, [("build:developer:site:b1", True)], True, Stage.FAILED),
    ],
)
def test_stage(state: ClientState, keys: list[tuple[str, bool]], waits: bool, stage: Stage) -> None:
    assert stage_of(state, keys, waits=waits) is stage

"""Real time, Telegram's real limits: the door keeps them by itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from master.approvals import ApprovalState
from master.telegram.pacing import Limits
from tests.integration.telegram.stage import ANA, ANY_SPEED, BEA, Stage

pytestmark = pytest.mark.anyio


async def run_door(stage: Stage, everything: int) -> None:
    """Until so many messages were sent."""
    stop = asyncio.Event()
    async with stage.door(long_poll_s=20) as door:
        door.outbox.clock = lambda: datetime.now(UTC)
        running = asyncio.create_task(door.run(stop))
        await asyncio.to_thread(stage.api.wait_for, lambda: len(stage.api.messages) >= everything)
        stop.set()
        await running


async def test_many_messages_to_two_people_are_paced_and_none_is_refused(stage: Stage) -> None:
    stage.users, stage.limits, stage.api.limited = frozenset({ANA, BEA}), Limits(), True
    stage.now = datetime.now(UTC)
    asked = [stage.ask() for _ in range(4)]
    await run_door(stage, 8)
    assert stage.api.speed.refused == 0
    for user in (ANA, BEA):
        texts = [stage.api.text(user, number) for number in stage.api.shown(user)]
        assert [sum(each.id in text for text in texts) for each in asked] == [1] * 4


async def test_without_a_pace_of_our_own_telegram_says_429_and_nothing_is_lost(stage: Stage) -> None:
    stage.limits, stage.api.limited = ANY_SPEED, True
    stage.now = datetime.now(UTC)
    asked = [stage.ask() for _ in range(3)]
    await run_door(stage, 3)
    assert stage.api.speed.refused > 0
    assert all(stage.look(each.id).state is ApprovalState.PENDING for each in asked)
    texts = [stage.api.text(ANA, number) for number in stage.api.shown(ANA)]
    assert [sum(each.id in text for text in texts) for each in asked] == [1] * 3

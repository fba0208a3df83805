"""What Telegram delivered is stored, then processed: nothing lost or doubled wherever the process ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from master.approvals import ApprovalState, Policy
from master.store.tables import events
from master.telegram.inbox import InboxState
from master.telegram.refusals import Reason
from master.telegram.tables import telegram_inbox
from tests.integration.telegram.stage import ANA, APPROVE, Stage, announced, greet, settle

pytestmark = pytest.mark.anyio


async def test_what_is_stored_is_processed_by_the_next_process(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        stage.api.tap_button(ANA, card, APPROVE)
        await door.take_in()
    # Killed here: stored, not confirmed, not processed. Telegram delivers it again.
    async with stage.door() as door:
        assert stage.api.unconfirmed() == 1
        assert await door.take_in() == 0
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.APPROVED
    assert stage.count_rows(events, events.c.name == "approval_decided") == 1
    assert stage.api.unconfirmed() == 0


async def test_an_update_that_cannot_be_stored_is_not_confirmed(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        stage.api.tap_button(ANA, card, APPROVE)
        with stage.database.write() as connection:
            telegram_inbox.drop(connection)
        with pytest.raises(Exception, match="no such table"):
            await door.take_in()
        with stage.database.write() as connection:
            telegram_inbox.create(connection)
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.APPROVED


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


@dataclass
class Killer:
    """Ends the process before or after the given one of its steps (a transaction, a call)."""

    at: int
    steps: int = 0

    def wrap(self, act: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def acting(*given: Any, **named: Any) -> Any:
            self._step()
            value = await act(*given, **named)
            self._step()
            return value

        return acting

    def _step(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            raise Killed


async def test_a_kill_before_or_after_any_step_loses_and_doubles_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.policy = Policy(daily_questions=1000)
    killed = True
    points = 0
    while killed:
        points += 1
        async with stage.door() as door:
            approval, card = await announced(stage, door)
        stage.api.tap_button(ANA, card, APPROVE)
        stage.api.write(ANA, f"/ver {approval.id}")
        killer = Killer(at=points)
        async with stage.door() as door:
            with monkeypatch.context() as patch:
                patch.setattr(asyncio, "to_thread", killer.wrap(asyncio.to_thread))
                for call in ("fetch_updates", "send", "edit", "answer"):
                    patch.setattr(door.api, call, killer.wrap(getattr(door.api, call)))
                try:
                    await settle(door)
                    killed = False
                except Killed:
                    pass
        async with stage.door() as door:
            await settle(door)
        assert stage.look(approval.id).state is ApprovalState.APPROVED, points
        assert APPROVE not in stage.api.buttons(ANA, card), points
        assert "Aprobada" in stage.last_text(), points
    assert points > 20
    assert stage.count_rows(events, events.c.name == "approval_decided") == points


async def test_unreadable_updates_do_not_stop_the_others(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        stage.api.add_update({"message": {"from": {"id": ANA}, "text": 7}})
        stage.api.add_update({"something_new": {"from": {"id": ANA}}})
        stage.api.add_update({"message": {"message_id": 5, "from": {"id": ANA}, "chat": {"id": ANA}}})
        stage.api.tap_button(ANA, card, APPROVE)
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.APPROVED
    assert stage.count_rows(telegram_inbox, telegram_inbox.c.state == InboxState.FAILED) == 1
    assert stage.refusals(ANA) == {Reason.MALFORMED: 1}
    assert "telegram_update_unreadable" in caplog.text


async def test_old_processed_updates_are_forgotten_in_time(stage: Stage) -> None:
    async with stage.door() as door:
        await greet(stage, door)
        stage.now += timedelta(days=4)
        stage.api.write(ANA, "/estado")
        await settle(door)
    assert stage.count_rows(telegram_inbox) == 1

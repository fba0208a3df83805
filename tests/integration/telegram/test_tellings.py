"""When people are told: quiet hours, the day's cap, reminders, somebody else, and after a long silence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from master.approvals import ApprovalState, ApprovalType, Policy
from master.approvals.policy import Rule
from master.telegram.messages import MessageKind
from master.telegram.poll import Door
from master.telegram.tables import telegram_messages
from tests.integration.bot_wire import Failure
from tests.integration.telegram.stage import (
    ANA,
    APPROVE,
    BEA,
    DETAILS,
    DONE,
    Stage,
    announced,
    greet,
    settle,
)

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)


def said(stage: Stage, user: int, word: str) -> list[int]:
    """Numbers of the messages that hold the word."""
    return [number for number in stage.api.shown(user) if word in stage.api.text(user, number)]


async def pass_time(stage: Stage, door: Door, time: timedelta) -> None:
    """In steps in which Telegram is heard from."""
    for _ in range(8):
        stage.now += time / 8
        await settle(door)


async def test_nobody_is_disturbed_in_quiet_hours_unless_it_is_urgent(stage: Stage) -> None:
    stage.policy = Policy.model_validate({"quiet_hours": "22:00-08:00", "time_zone": "America/Santiago"})
    stage.now = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)  # one in the morning in Santiago
    async with stage.door() as door:
        await greet(stage, door)
        normal, urgent = stage.ask(), stage.ask(urgency="high")
        await settle(door)
        assert not said(stage, ANA, normal.id)
        assert len(said(stage, ANA, urgent.id)) == 1
        stage.now += timedelta(hours=8)
        await settle(door)
    assert len(said(stage, ANA, normal.id)) == 1


async def test_over_the_days_cap_and_low_urgency_come_in_one_digest(stage: Stage) -> None:
    stage.policy = Policy(daily_questions=2)
    async with stage.door() as door:
        await greet(stage, door)
        low = stage.ask(urgency="low")
        asked = [stage.ask() for _ in range(4)]
        await settle(door)
        told = [each for each in asked if said(stage, ANA, each.id)]
        assert len(told) == 2
        stage.now += timedelta(hours=6, minutes=1)
        await settle(door)
        await settle(door)
        (digest,) = said(stage, ANA, "Las otras preguntas de hoy")
        late = [each for each in [low, *asked] if each not in told]
        buttons = stage.api.buttons(ANA, digest)
        assert set(buttons) == {f"{DETAILS} {each.id}" for each in late}
        stage.api.tap(ANA, buttons[f"{DETAILS} {low.id}"], digest)
        await settle(door)
        stage.api.tap_button(ANA, stage.api.shown(ANA)[-1], APPROVE)
        await settle(door)
    assert stage.look(low.id).state is ApprovalState.APPROVED


async def test_reminders_come_when_they_are_due_and_are_edited_like_every_copy(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        stage.now += DAY - timedelta(minutes=1)
        await settle(door)
        assert said(stage, ANA, approval.id) == [card]
        stage.now += timedelta(minutes=2)
        await settle(door)
        await settle(door)
        _, second = said(stage, ANA, approval.id)
        assert "Sigue esperando tu respuesta" in stage.api.text(ANA, second)
        await pass_time(stage, door, 2 * DAY)
        assert len(said(stage, ANA, approval.id)) == 3
        stage.api.tap_button(ANA, second, APPROVE)
        await settle(door)
    for number in said(stage, ANA, approval.id):
        assert "Aprobada por Ana" in stage.api.text(ANA, number)
        assert next(iter(stage.api.buttons(ANA, number))) == DONE


async def test_a_reminder_after_an_outage_is_the_newest_one_alone(stage: Stage) -> None:
    async with stage.door() as door:
        approval, _ = await announced(stage, door)
    stage.now += 4 * DAY
    async with stage.door() as door:
        stage.api.fail_next("getUpdates", Failure(502, "Bad Gateway"))
        await door.outbox.run_pass()
        while await door.outbox.run_pass():
            pass
    assert len(said(stage, ANA, "Sigue esperando")) == 1
    assert len(said(stage, ANA, approval.id)) == 2


async def test_what_was_approved_and_is_not_done_is_reminded_of(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        stage.api.tap_button(ANA, card, APPROVE)
        await settle(door)
        stage.now += DAY + timedelta(minutes=1)
        await settle(door)
        reminder = stage.api.shown(ANA)[-1]
        assert "Aprobado, y aún por hacer" in stage.api.text(ANA, reminder)
        stage.api.tap_button(ANA, reminder, DONE)
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.EXECUTED
    assert stage.api.buttons(ANA, card) == stage.api.buttons(ANA, reminder) == {}


async def test_somebody_else_is_told_when_nobody_answers(stage: Stage) -> None:
    stage.users = frozenset({ANA, BEA})
    rule = Rule(deciders=("telegram:4711",), escalate_to=(BEA, 999), remind_after=())
    stage.policy = Policy(rules={ApprovalType.PAYMENT: rule})
    async with stage.door() as door:
        await greet(stage, door, ANA, BEA)
        approval = stage.ask()
        await settle(door)
        assert not said(stage, BEA, approval.id)
        await pass_time(stage, door, 2 * DAY)
    assert "Nadie ha respondido esto" in stage.last_text(BEA)
    assert len(said(stage, ANA, approval.id)) == 1
    assert stage.api.shown(999) == []


async def test_what_another_door_approved_before_it_was_told_is_told_as_to_be_done(stage: Stage) -> None:
    async with stage.door() as door:
        await greet(stage, door)
        approval = stage.ask()
        stage.decide_at_cli(approval.id, approve=True)
        await settle(door)
    assert "Aprobado, y aún por hacer" in stage.last_text()
    assert next(iter(stage.api.buttons(ANA, stage.api.shown(ANA)[-1]))) == DONE


@pytest.mark.parametrize(("hours", "again"), [(23, 0), (25, 1)])
async def test_after_a_long_silence_of_telegram_what_waits_is_told_again(
    stage: Stage, hours: int, again: int
) -> None:
    stage.policy = Policy(rules={ApprovalType.PAYMENT: Rule(remind_after=())})
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        stage.now += timedelta(hours=hours)
    async with stage.door() as door:
        await settle(door)
        await settle(door)
        assert len(said(stage, ANA, "Telegram no respondía")) == again
        stage.api.tap_button(ANA, stage.api.shown(ANA)[-1], APPROVE)
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.APPROVED
    assert APPROVE not in stage.api.buttons(ANA, card)


async def test_a_reminder_of_what_is_decided_meanwhile_is_dropped(stage: Stage) -> None:
    async with stage.door() as door:
        approval, _ = await announced(stage, door, cost_minor=0)
        stage.now += DAY
        stage.api.fail_next("sendMessage", Failure(429, "Too Many Requests", retry_after=5))
        await door.outbox.run_pass()
        stage.decide_at_cli(approval.id, approve=False)
        stage.now += timedelta(seconds=6)
        await settle(door)
    assert len(said(stage, ANA, "Sigue esperando")) == 0
    dropped = telegram_messages.c.state == "dropped"
    assert stage.count_rows(telegram_messages, dropped, telegram_messages.c.kind == MessageKind.REMINDER) == 1

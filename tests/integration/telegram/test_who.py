"""Strangers, groups and forged buttons are refused and recorded."""

from __future__ import annotations

import pytest

from master.approvals import ApprovalState
from master.store.tables import events
from master.telegram.callbacks import Press, Verb, encode_press
from master.telegram.refusals import Reason
from tests.integration.telegram.stage import ANA, APPROVE, STRANGER, Stage, announced, settle

pytestmark = pytest.mark.anyio


async def test_a_stranger_is_ignored_and_recorded_once(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        sent = stage.api.count("sendMessage")
        stage.api.write(STRANGER, f"/aprobar {approval.id}")
        stage.api.write(STRANGER, "hola?")
        stage.api.tap(STRANGER, stage.api.buttons(ANA, card)[APPROVE], card)
        await settle(door)
        assert stage.api.count("sendMessage") == sent
        assert stage.api.count("answerCallbackQuery") == 0
        await door.take_in()
    assert stage.look(approval.id).state is ApprovalState.PENDING
    assert stage.refusals(STRANGER) == {Reason.STRANGER: 3}
    assert stage.count_rows(events, events.c.name == "telegram_refused") == 1
    assert stage.api.unconfirmed() == 0


async def test_a_group_chat_is_refused(stage: Stage) -> None:
    async with stage.door() as door:
        approval, _ = await announced(stage, door)
        stage.api.write(ANA, f"/aprobar {approval.id}", chat={"id": -100, "type": "group"})
        stage.api.write(ANA, "nice weather", chat={"id": -100, "type": "group"})
        stage.api.write(ANA, f"/aprobar {approval.id}", chat={"id": -100, "type": "group"})
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.PENDING
    assert stage.refusals(ANA) == {Reason.GROUP: 2}
    assert [stage.api.text(-100, n) for n in stage.api.shown(-100)] == [
        "Solo acepto órdenes en un chat privado."
    ]


async def test_a_forged_button_decides_nothing_and_is_recorded(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        press = Press(verb=Verb.APPROVE, approval_id=approval.id, revision=1)
        stage.api.tap(ANA, encode_press(press, b"another key"), card)
        stage.api.tap(ANA, "", card)
        stage.api.tap(ANA, f"a:{approval.id}:1:", card)
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.PENDING
    assert stage.refusals(ANA) == {Reason.FORGED: 3}

"""A yes or a no by button, command or reply, and what the cards say then."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from master.approvals import ApprovalState, Policy, expire_approvals
from master.approvals.tables import approvals
from master.store.tables import events, outcomes
from tests.integration.bot_wire import Failure
from tests.integration.telegram.stage import (
    ABANDON,
    ANA,
    APPROVE,
    BEA,
    DETAILS,
    DONE,
    REJECT,
    Stage,
    announced,
    greet,
    settle,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("command", ["/aprobar {id} por el menú", "/approve@d8_bot {ID}  por el menú"])
async def test_a_command_approves_and_the_card_says_who_and_when(stage: Stage, command: str) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        stage.api.write(ANA, command.format(id=approval.id, ID=approval.id.upper()))
        await settle(door)
    decided = stage.look(approval.id)
    assert decided.state is ApprovalState.APPROVED
    assert (decided.decided_by, decided.door, decided.note) == ("Ana (4711)", "telegram", "por el menú")
    assert "Aprobada por Ana (4711) vía telegram, 2026-03-01 12:00 UTC" in stage.api.text(ANA, card)
    assert list(stage.api.buttons(ANA, card)) == [DONE, ABANDON, DETAILS]
    assert stage.count_rows(outcomes) == 1


async def test_a_button_approves_and_gives_way_to_what_is_to_be_done(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        stage.api.tap_button(ANA, card, APPROVE)
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.APPROVED
    assert list(stage.api.buttons(ANA, card)) == [DONE, ABANDON, DETAILS]
    answers = [call.values for call in stage.api.calls if call.method == "answerCallbackQuery"]
    assert [answer["text"] for answer in answers] == [f"{approval.id}: Aprobada"]


async def test_a_double_tap_and_a_second_person_decide_once(stage: Stage) -> None:
    stage.users = frozenset({ANA, BEA})
    async with stage.door() as door:
        await greet(stage, door, ANA, BEA)
        approval = stage.ask()
        await settle(door)
        cards = {user: stage.api.shown(user)[-1] for user in (ANA, BEA)}
        stage.api.tap_button(ANA, cards[ANA], APPROVE)
        stage.api.tap_button(ANA, cards[ANA], APPROVE)
        stage.api.tap_button(BEA, cards[BEA], REJECT)
        stage.api.write(BEA, f"/rechazar {approval.id} no")
        await settle(door)
    decided = stage.look(approval.id)
    assert (decided.state, decided.decided_by) == (ApprovalState.APPROVED, "Ana (4711)")
    assert stage.count_rows(outcomes) == 1
    assert stage.count_rows(events, events.c.name == "approval_decided") == 1
    assert "Aprobada por Ana (4711)" in stage.last_text(BEA)
    assert list(stage.api.buttons(BEA, cards[BEA])) == [DONE, ABANDON, DETAILS]


async def test_reject_by_button_asks_for_the_reason_and_uses_the_reply(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        stage.api.tap_button(ANA, card, REJECT)
        await settle(door)
        prompt = stage.api.shown(ANA)[-1]
        assert "¿Por qué" in stage.api.text(ANA, prompt)
        assert stage.api.messages[ANA, prompt]["markup"]["force_reply"] is True
        assert stage.look(approval.id).state is ApprovalState.PENDING
        stage.api.write(ANA, "demasiado caro", reply_to=prompt)
        await settle(door)
    decided = stage.look(approval.id)
    assert (decided.state, decided.note) == (ApprovalState.REJECTED, "demasiado caro")
    assert "Nota: demasiado caro" in stage.api.text(ANA, card)


async def test_reject_by_command_without_a_reason_asks_for_it(stage: Stage) -> None:
    async with stage.door() as door:
        approval, _ = await announced(stage, door)
        stage.api.write(ANA, f"/rechazar {approval.id}")
        await settle(door)
        assert "¿Por qué" in stage.last_text()
        stage.api.write(ANA, f"/reject {approval.id} not now", language="en")
        await settle(door)
        assert "Rejected by Ana (4711) via telegram" in stage.last_text()
    assert stage.look(approval.id).note == "not now"


async def test_a_decision_by_another_door_edits_every_copy(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        stage.api.write(ANA, f"/ver {approval.id}")
        await settle(door)
        details = stage.api.shown(ANA)[-1]
        assert "score: 0.91" in stage.api.text(ANA, details)
    stage.decide_at_cli(approval.id, approve=True)
    async with stage.door() as door:  # also after a restart
        await settle(door)
    for number in (card, details):
        assert "Aprobada por owner vía cli" in stage.api.text(ANA, number)
        assert list(stage.api.buttons(ANA, number))[:2] == [DONE, ABANDON]


async def test_an_expired_request_loses_its_buttons_and_cannot_be_approved(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door, expires_s=3600)
        approve = stage.api.buttons(ANA, card)[APPROVE]
        stage.now += timedelta(hours=2)
        stage.api.write(ANA, f"/aprobar {approval.id}")
        await settle(door)
        assert "venció el 2026-03-01 13:00 UTC" in stage.last_text()
        with stage.database.write() as connection:
            expire_approvals(connection, policy=Policy(), now=stage.now)
        stage.api.tap(ANA, approve, card)
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.EXPIRED
    assert "Vencida" in stage.api.text(ANA, card)
    assert stage.api.buttons(ANA, card) == {}


async def test_an_old_revision_is_superseded_and_the_new_one_announced(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        old_button = stage.api.buttons(ANA, card)[APPROVE]
        with stage.database.write() as connection:
            connection.execute(
                update(approvals)
                .where(approvals.c.id == approval.id)
                .values(revision=2, cost_minor=99_900, digest="f" * 64)
            )
        stage.api.tap(ANA, old_button, card)
        await settle(door)
        assert stage.look(approval.id).state is ApprovalState.PENDING
        assert "Sustituida" in stage.api.text(ANA, card)
        assert stage.api.buttons(ANA, card) == {}
        newer = stage.api.shown(ANA)[-1]
        assert "999.00 EUR" in stage.api.text(ANA, newer)
        stage.api.tap_button(ANA, newer, APPROVE)
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.APPROVED


async def test_an_old_tap_that_telegram_no_longer_wants_answered_still_counts(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        stage.api.fail_next("answerCallbackQuery", Failure(400, "Bad Request: query is too old"))
        stage.api.tap_button(ANA, card, APPROVE)
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.APPROVED

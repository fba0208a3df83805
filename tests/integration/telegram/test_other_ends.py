"""Requests that change or end without an answer take their old cards' buttons along."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from master.approvals import ApprovalState, ApprovalType, revise_approval
from master.approvals import Question as Asked
from master.approvals.tables import approval_steps, approvals
from master.telegram.refusals import Reason
from tests.integration.telegram.stage import ANA, APPROVE, REJECT, Stage, announced, settle

pytestmark = pytest.mark.anyio


async def test_a_changed_question_supersedes_every_copy(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        with stage.database.write() as connection:
            step = connection.execute(select(approval_steps.c.step_id)).scalar_one()
            changed = Asked(type=ApprovalType.PAYMENT, title="Otro dominio", reason="x", cost_minor=900)
            revise_approval(connection, changed, step_id=step, policy=stage.policy, now=stage.now)
        old = stage.api.buttons(ANA, card)
        await settle(door)
        stage.api.tap(ANA, old[REJECT], card)
        stage.api.tap(ANA, old[APPROVE], card)
        await settle(door)
        assert "Sustituida" in stage.api.text(ANA, card)
        assert stage.look(approval.id).state is ApprovalState.PENDING
        assert stage.refusals(ANA) == {Reason.STALE: 2}
        assert "9.00 EUR" in stage.last_text()


@pytest.mark.parametrize("state", ["expired", "cancelled", "superseded"])
async def test_an_end_without_an_answer_takes_the_buttons_away(stage: Stage, state: str) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        with stage.database.write() as connection:
            connection.execute(
                update(approvals)
                .where(approvals.c.id == approval.id)
                .values(state=state, decided_at=stage.now, decided_by="d8", door="clock", replaced_by="newer")
            )
        await settle(door)
    assert stage.api.buttons(ANA, card) == {}
    assert "d8" not in stage.api.text(ANA, card)
    assert ("Mira newer" in stage.api.text(ANA, card)) == (state == "superseded")

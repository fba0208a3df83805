"""Commands that are about no request: groups, spending, pause, the menu."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from master.approvals import ApprovalState
from master.dispatch.pause import is_paused
from master.store.tables import events
from master.telegram.refusals import Reason
from master.telegram.spending import Spending
from tests.integration.telegram.stage import ANA, APPROVE, Stage, greet, settle

pytestmark = pytest.mark.anyio
GROUP: dict[str, Any] = {"id": -100, "type": "supergroup"}


async def test_an_allowed_group_is_listened_to_by_allowed_people(stage: Stage) -> None:
    stage.groups = frozenset({-100})
    async with stage.door() as door:
        await greet(stage, door)
        approval = stage.ask()
        await settle(door)
        stage.api.write(ANA, "buenos días", chat=GROUP)
        stage.api.write(ANA, f"/ver@d8_bot {approval.id}", chat=GROUP)
        stage.api.write(666, f"/aprobar {approval.id}", chat=GROUP)
        await settle(door)
        (card,) = stage.api.shown(-100)
        assert "Pago" in stage.api.text(-100, card)
        button = stage.api.buttons(-100, card)[APPROVE]
        stage.api.tap(666, button, card, chat=GROUP)
        await settle(door)
        assert stage.look(approval.id).state is ApprovalState.PENDING
        stage.api.tap(ANA, button, card, chat=GROUP)
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.APPROVED
    assert APPROVE not in stage.api.buttons(-100, card)
    assert stage.refusals(666) == {Reason.STRANGER: 2}


async def test_spending_is_told_by_category_against_its_line(stage: Stage) -> None:
    stage.spending["2026-03"] = (
        Spending(category="hosting", currency="EUR", spent_minor=900, held_minor=250, limit_minor=5000),
        Spending(category="", currency="EUR", spent_minor=900, held_minor=0, limit_minor=None),
    )
    async with stage.door() as door:
        stage.api.write(ANA, "/gastos")
        await settle(door)
        assert "hosting: 9.00 EUR de 50.00 EUR (y 2.50 EUR aprobados, sin pagar)" in stage.last_text()
        stage.api.write(ANA, "/gastos febrero")
        await settle(door)
        assert stage.last_text() == "Gastos 2026-02\nNo hay gastos."
        stage.api.write(ANA, "/spending whenever", language="en")
        await settle(door)
        assert "Which month?" in stage.last_text()
        stage.api.write(ANA, "/estado")
        await settle(door)
        assert "hosting: 9.00 EUR de 50.00 EUR" in stage.last_text()


async def test_pause_and_resume_stop_and_start_dispatch(stage: Stage) -> None:
    async with stage.door() as door:
        stage.api.write(ANA, "/pausa")
        stage.api.write(ANA, "/estado")
        await settle(door)
        assert "en pausa" in stage.last_text()
        with stage.database.read() as connection:
            assert is_paused(connection)
        stage.api.write(ANA, "/reanudar")
        await settle(door)
    with stage.database.read() as connection:
        assert not is_paused(connection)
        by = connection.execute(select(events.c.data).where(events.c.name == "dispatch_resumed")).scalar()
    assert by == {"by": "Ana (4711)"}


async def test_the_menu_offers_each_command_in_both_languages(stage: Stage) -> None:
    async with stage.door() as door:
        await door.introduce()
    assert stage.api.commands["es"]["hecho"] == "lo hiciste: cuánto costó y una referencia"
    assert stage.api.commands[""]["done"] == "you did it: what it cost, and a reference"


async def test_a_server_without_menus_and_webhooks_is_served_all_the_same(stage: Stage) -> None:
    stage.api.unknown_methods |= {"setMyCommands", "deleteWebhook"}
    async with stage.door() as door:
        await door.introduce()
        await greet(stage, door)
    assert "/hecho" in stage.last_text()

"""What the owner asks the bot, and what it answers when it cannot."""

from __future__ import annotations

import pytest

from master.approvals import ApprovalState
from tests.integration.telegram.stage import ANA, DETAILS, Stage, announced, greet, settle

pytestmark = pytest.mark.anyio


async def test_lists_details_and_status_are_answered(stage: Stage) -> None:
    async with stage.door() as door:
        await greet(stage, door)
        stage.api.write(ANA, "/solicitudes_pendientes")
        await settle(door)
        assert stage.last_text() == "No hay nada pendiente."
        first, second = stage.ask(), stage.ask(type="CONTENT_APPROVAL", cost_minor=0, title="Sitio")
        await settle(door)
        stage.api.write(ANA, "/pending")
        await settle(door)
        listing = stage.api.shown(ANA)[-1]
        assert "2 solicitudes te esperan" in stage.api.text(ANA, listing)
        assert set(stage.api.buttons(ANA, listing)) == {f"{DETAILS} {first.id}", f"{DETAILS} {second.id}"}
        stage.api.tap_button(ANA, listing, f"{DETAILS} {second.id}")
        await settle(door)
        assert "Contenido por aprobar" in stage.last_text()
        stage.api.write(ANA, "/estado")
        await settle(door)
        assert "Ejecuciones en curso: 2" in stage.last_text()
        assert "Workers disponibles: 0" in stage.last_text()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("/aprobar", "¿Qué solicitud?"),
        ("/ver zzzzz", "No existe la solicitud zzzzz"),
        ("/aprobar <b>&amp;", "No existe la solicitud b>&amp;"),
        ("buenos días", "No te entendí"),
        ("/ayuda", "/rechazar ID motivo"),
    ],
)
async def test_what_cannot_be_done_is_explained(stage: Stage, text: str, answer: str) -> None:
    async with stage.door() as door:
        stage.api.write(ANA, text)
        await settle(door)
    assert answer in stage.last_text()


async def test_a_reply_to_something_else_is_not_taken_for_a_reason(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        stage.api.write(ANA, "¿qué es esto?", reply_to=card)
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.PENDING
    assert "Ya no sé" in stage.last_text()

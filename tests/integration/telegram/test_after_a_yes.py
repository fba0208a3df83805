"""After a yes: done, with its cost and reference, or abandoned."""

from __future__ import annotations

from typing import Any

import pytest

from master.approvals import Approval, ApprovalState
from master.store.tables import events, outcomes
from master.telegram.callbacks import Press, Verb, encode_press
from master.telegram.refusals import Reason
from tests.integration.telegram.stage import (
    ABANDON,
    ANA,
    APPROVE,
    BEA,
    DONE,
    KEY,
    Stage,
    announced,
    greet,
    settle,
)

pytestmark = pytest.mark.anyio


async def approved(stage: Stage, door: Any, **given: object) -> tuple[Approval, int]:
    approval, card = await announced(stage, door, **given)
    stage.api.tap_button(ANA, card, APPROVE)
    await settle(door)
    return stage.look(approval.id), card


async def test_done_takes_cost_and_reference_and_every_copy_says_so(stage: Stage) -> None:
    stage.users = frozenset({ANA, BEA})
    async with stage.door() as door:
        await greet(stage, door, ANA, BEA)
        approval = stage.ask(until="executed")
        await settle(door)
        cards = {user: stage.api.shown(user)[-1] for user in (ANA, BEA)}
        stage.api.tap_button(ANA, cards[ANA], APPROVE)
        await settle(door)
        assert f"/hecho {approval.id} costo referencia" in stage.api.text(BEA, cards[BEA])
        assert stage.count_rows(outcomes) == 0
        stage.api.write(BEA, f"/hecho {approval.id} 11,99 EUR factura 7")
        await settle(door)
    done = stage.look(approval.id)
    assert (done.state, done.actual_minor, done.reference) == (ApprovalState.EXECUTED, 1199, "factura 7")
    assert stage.count_rows(outcomes) == 1
    for user in (ANA, BEA):
        shown = stage.api.text(user, cards[user])
        assert "Aprobada por Ana (4711) vía telegram" in shown
        assert "Hecho por Ana (4712), 2026-03-01 12:00 UTC, por 11.99 EUR" in shown
        assert "Referencia: factura 7" in shown
        assert stage.api.buttons(user, cards[user]) == {}


@pytest.mark.parametrize("again", [False, True])
async def test_the_button_says_done_for_exactly_what_was_approved_once(stage: Stage, again: bool) -> None:
    async with stage.door() as door:
        approval, card = await approved(stage, door)
        done = stage.api.buttons(ANA, card)[DONE]
        for _ in range(1 + again):
            stage.api.tap(ANA, done, card)
        await settle(door)
    assert stage.look(approval.id).actual_minor == 1250
    assert stage.count_rows(events, events.c.name == "approval_executed") == 1
    assert stage.refusals(ANA) == ({Reason.REPLAYED: 1} if again else {})


async def test_an_abandoned_request_asks_why_and_loses_its_buttons(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await approved(stage, door)
        stage.api.tap_button(ANA, card, ABANDON)
        await settle(door)
        prompt = stage.api.shown(ANA)[-1]
        assert "no se hará" in stage.api.text(ANA, prompt)
        stage.api.write(ANA, "ya no hace falta", reply_to=prompt)
        await settle(door)
    left = stage.look(approval.id)
    assert (left.state, left.note) == (ApprovalState.ABANDONED, "ya no hace falta")
    assert "Abandonada" in stage.api.text(ANA, card)
    assert stage.api.buttons(ANA, card) == {}


async def test_an_abandoning_command_without_a_reason_asks_for_it(stage: Stage) -> None:
    async with stage.door() as door:
        approval, _ = await approved(stage, door)
        stage.api.write(ANA, f"/abandonar {approval.id}")
        await settle(door)
        assert "no se hará" in stage.last_text()
        stage.api.write(ANA, f"/abandon {approval.id} too late")
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.ABANDONED


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("/hecho {id}", "¿Cuánto costó"),
        ("/hecho {id} factura", "¿Cuánto costó"),
        ("/hecho {id} 1.234", "can be read in two ways"),
        ("/hecho {id} 13,00", "was approved up to 12.50 EUR"),
        ("/hecho {id} 12,00 USD", "was approved in EUR"),
    ],
)
async def test_a_cost_that_is_unclear_or_too_much_changes_nothing(
    stage: Stage, text: str, answer: str
) -> None:
    async with stage.door() as door:
        approval, _ = await approved(stage, door)
        stage.api.write(ANA, text.format(id=approval.id))
        await settle(door)
    assert answer in stage.last_text()
    assert stage.look(approval.id).state is ApprovalState.APPROVED
    assert sum(stage.refusals(ANA).values()) == 1


async def test_a_currency_without_decimals_is_read_as_it_is_written(stage: Stage) -> None:
    async with stage.door() as door:
        approval, _ = await approved(stage, door, cost_minor=9990, currency="CLP")
        stage.api.write(ANA, f"/hecho {approval.id} $9.990 boleta 12")
        await settle(door)
    assert stage.look(approval.id).actual_minor == 9990


async def test_what_nobody_approved_cannot_be_done(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        stage.api.write(ANA, f"/hecho {approval.id} 1")
        press = Press(verb=Verb.DONE, approval_id=approval.id, revision=1)
        stage.api.tap(ANA, encode_press(press, KEY), card)
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.PENDING
    assert stage.refusals(ANA) == {Reason.REPLAYED: 2}

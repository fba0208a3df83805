"""What follows a yes, several who must say it, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from master.approvals import Approval, ApprovalState, ApprovalType, Policy, revise_approval
from master.approvals import Question as Asked
from master.approvals.policy import Rule
from master.approvals.tables import approval_steps, approval_votes, approvals
from master.dispatch.pause import is_paused
from master.ledger import BudgetExceeded
from master.store.tables import events, outcomes
from master.telegram.callbacks import Press, Verb, encode_press
from master.telegram.refusals import Reason
from master.telegram.spending import Spending
from tests.integration.telegram.stage import (
    ABANDON,
    ANA,
    APPROVE,
    BEA,
    DETAILS,
    DONE,
    KEY,
    REJECT,
    Stage,
    announced,
    greet,
    settle,
)

pytestmark = pytest.mark.anyio

TWO_MUST = Policy(rules={ApprovalType.PAYMENT: Rule(quorum=2)})
GROUP: dict[str, Any] = {"id": -100, "type": "supergroup"}


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


async def test_a_quorum_shows_each_yes_and_decides_at_the_last(stage: Stage) -> None:
    stage.users, stage.policy = frozenset({ANA, BEA}), TWO_MUST
    async with stage.door() as door:
        await greet(stage, door, ANA, BEA)
        approval = stage.ask()
        await settle(door)
        cards = {user: stage.api.shown(user)[-1] for user in (ANA, BEA)}
        assert "Hacen falta 2 síes" in stage.api.text(ANA, cards[ANA])
        stage.api.tap_button(ANA, cards[ANA], APPROVE)
        stage.api.tap_button(ANA, cards[ANA], APPROVE)
        await settle(door)
        assert stage.look(approval.id).state is ApprovalState.PENDING
        for user in (ANA, BEA):
            assert "1 de 2 dijeron que sí: Ana (4711)" in stage.api.text(user, cards[user])
        stage.api.tap_button(BEA, cards[BEA], APPROVE)
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.APPROVED
    for user in (ANA, BEA):
        assert list(stage.api.buttons(user, cards[user])) == [DONE, ABANDON, DETAILS]


async def test_who_may_not_decide_is_told_counted_and_changes_nothing(stage: Stage) -> None:
    stage.users = frozenset({ANA, BEA})
    stage.policy = Policy(rules={ApprovalType.PAYMENT: Rule(deciders=("telegram:4711",))})
    async with stage.door() as door:
        await greet(stage, door, ANA, BEA)
        approval = stage.ask()
        await settle(door)
        assert approval.id not in stage.last_text(BEA), "only those who may decide are asked"
        for _ in range(3):
            stage.api.write(BEA, f"/aprobar {approval.id}")
        await settle(door)
    assert "No puedes decidir esto" in stage.last_text(BEA)
    assert stage.look(approval.id).state is ApprovalState.PENDING
    assert stage.refusals(BEA) == {Reason.NOT_A_DECIDER: 3}
    assert stage.count_rows(events, events.c.name == "approval_refused") == 1


async def test_a_budget_without_room_is_told_and_leaves_no_vote_behind(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise BudgetExceeded("hosting has 3.00 EUR left in 2026-03: raise the line in policy.toml")

    monkeypatch.setattr("master.approvals.answer.reserve", no_room)
    stage.users, stage.policy = frozenset({ANA, BEA}), TWO_MUST
    async with stage.door() as door:
        await greet(stage, door, ANA, BEA)
        approval = stage.ask()
        await settle(door)
        stage.api.write(ANA, f"/aprobar {approval.id}")
        await settle(door)
        stage.api.tap_button(BEA, stage.api.shown(BEA)[-1], APPROVE)
        await settle(door)
    assert "Ningún presupuesto alcanza" in stage.last_text(BEA)
    assert "3.00 EUR left" in stage.last_text(BEA)
    assert stage.look(approval.id).state is ApprovalState.PENDING
    assert stage.refusals(BEA) == {Reason.NO_BUDGET: 1}
    assert stage.count_rows(approval_votes) == 1


async def test_a_broken_policy_file_answers_and_decides_nothing(stage: Stage) -> None:
    from tasks.errors import InvalidInput

    async with stage.door() as door:
        approval, card = await announced(stage, door)

        def broken() -> Policy:
            raise InvalidInput("policy.toml: there is no setting 'x': correct it")

        object.__setattr__(door.ways, "policy", broken)
        door.outbox.policy = broken
        stage.api.tap_button(ANA, card, APPROVE)
        stage.api.write(ANA, "/estado")
        await settle(door)
        assert stage.look(approval.id).state is ApprovalState.PENDING
        texts = [stage.api.text(ANA, number) for number in stage.api.shown(ANA)]
        assert any("there is no setting 'x'" in text for text in texts)
        assert "1 solicitud te espera" in stage.last_text()


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

"""The owner's rules at the door: several who must say yes, who may not, budgets, a file that is broken."""

from __future__ import annotations

import pytest

from master.approvals import ApprovalState, ApprovalType, Policy
from master.approvals.policy import Rule
from master.approvals.tables import approval_votes
from master.ledger import BudgetExceeded
from master.store.tables import events
from master.telegram.refusals import Reason
from tests.integration.telegram.stage import (
    ABANDON,
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
TWO_MUST = Policy(rules={ApprovalType.PAYMENT: Rule(quorum=2)})


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

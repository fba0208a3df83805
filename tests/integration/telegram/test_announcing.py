"""A request is announced once to everyone, whatever Telegram does with the message."""

from __future__ import annotations

from datetime import timedelta

import pytest

from master.fleet.notices import close_notice, open_notice
from master.telegram.api import TelegramAway
from tests.integration.bot_wire import Failure
from tests.integration.telegram.stage import (
    ANA,
    APPROVE,
    BEA,
    DETAILS,
    REJECT,
    Stage,
    announced,
    greet,
    settle,
)

pytestmark = pytest.mark.anyio


async def test_a_new_request_is_announced_once_to_every_allowed_user(stage: Stage) -> None:
    stage.users = frozenset({ANA, BEA})
    async with stage.door() as door:
        await greet(stage, door, ANA, BEA)
        approval = stage.ask()
        await settle(door)
        await settle(door)
    async with stage.door() as door:
        await settle(door)
    for user in (ANA, BEA):
        cards = [n for n in stage.api.shown(user) if approval.id in stage.api.text(user, n)]
        assert len(cards) == 1
        assert "12.50 EUR" in stage.api.text(user, cards[0])
        assert "Dominio <tapas&vinos.es>" in stage.api.text(user, cards[0])
        assert list(stage.api.buttons(user, cards[0])) == [APPROVE, REJECT, DETAILS]


async def test_a_notice_is_told_once_and_so_is_its_end(stage: Stage) -> None:
    stage.users = frozenset({ANA, BEA})

    def said(user: int) -> list[str]:
        return [text for n in stage.api.shown(user) if "garage" in (text := stage.api.text(user, n))]

    async with stage.door() as door:
        await greet(stage, door, ANA, BEA)
        with stage.database.write() as connection:
            data = {"worker": "garage", "reason": "not heard from <since> noon"}
            open_notice(connection, "worker:garage", "worker_offline", stage.now, **data)
        await settle(door)
        await settle(door)
    assert [len(said(user)) for user in (ANA, BEA)] == [1, 1]
    assert "not heard from <since> noon" in said(ANA)[0]
    with stage.database.write() as connection:
        close_notice(connection, "worker:garage", stage.now)
    async with stage.door() as door:
        await settle(door)
        await settle(door)
    assert [len(said(user)) for user in (ANA, BEA)] == [2, 2]
    assert said(BEA)[-1].startswith("✅")


async def test_a_pause_that_telegram_asks_for_is_kept(stage: Stage) -> None:
    async with stage.door() as door:
        await greet(stage, door)
        stage.api.fail_next("sendMessage", Failure(429, "Too Many Requests: retry after 7", retry_after=7))
        approval = stage.ask()
        tried = stage.api.count("sendMessage") + 1
        await settle(door)
        stage.now += timedelta(seconds=6)
        await settle(door)
        assert stage.api.count("sendMessage") == tried
        stage.now += timedelta(seconds=1)
        await settle(door)
    assert stage.api.count("sendMessage") == tried + 1
    assert approval.id in stage.last_text()


async def test_an_answer_that_gets_lost_leads_to_a_second_copy_and_both_are_edited(stage: Stage) -> None:
    async with stage.door() as door:
        await greet(stage, door)
        stage.api.fail_next("sendMessage", Failure(502, "Bad Gateway", after_the_act=True))
        approval = stage.ask()
        with pytest.raises(TelegramAway):
            await settle(door)
        await settle(door)
        first, second = [n for n in stage.api.shown(ANA) if approval.id in stage.api.text(ANA, n)]
        stage.api.tap_button(ANA, first, APPROVE)  # the copy that we did not know of
        await settle(door)
    assert APPROVE not in {**stage.api.buttons(ANA, first), **stage.api.buttons(ANA, second)}
    assert "Aprobada" in stage.api.text(ANA, first)


async def test_who_never_opened_the_chat_gets_the_request_when_they_do(stage: Stage) -> None:
    stage.api.closed_chats.add(ANA)
    approval = stage.ask()
    async with stage.door() as door:
        await settle(door)
        await settle(door)
        assert stage.api.count("sendMessage") == 1
        stage.api.closed_chats.clear()
        await greet(stage, door)
    assert any(approval.id in stage.api.text(ANA, number) for number in stage.api.shown(ANA))


async def test_a_deleted_card_and_an_unchanged_one_count_as_edited(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        del stage.api.messages[ANA, card]
        stage.decide_at_cli(approval.id, approve=False)
        await settle(door)
        await settle(door)
    assert stage.api.count("editMessageText") == 1

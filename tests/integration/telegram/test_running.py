"""The door as it runs: outages, other processes, and tokens that are wrong."""

from __future__ import annotations

import asyncio
import logging

import pytest

from master.approvals import ApprovalState
from master.telegram.api import TelegramAway, TokenRefused, open_api
from master.telegram.tables import telegram_messages
from tests.integration.bot_wire import Failure
from tests.integration.telegram.stage import ANA, TOKEN, Stage, greet
from tests.support import free_port

pytestmark = pytest.mark.anyio


async def test_the_door_boots_during_an_outage_and_serves_when_telegram_is_back(stage: Stage) -> None:
    approval = stage.ask()
    for method in ("getUpdates", "sendMessage"):
        for _ in range(4):
            stage.api.fail_next(method, Failure(502, "Bad Gateway"))
    stop = asyncio.Event()
    async with stage.door(long_poll_s=20) as door:
        running = asyncio.create_task(door.run(stop))
        stage.api.write(ANA, f"/aprobar {approval.id}")
        await asyncio.to_thread(
            stage.api.wait_for,
            lambda: any("Aprobada por Ana" in message["text"] for message in stage.api.messages.values()),
        )
        stop.set()
        await running
    assert stage.look(approval.id).state is ApprovalState.APPROVED


async def test_the_running_door_announces_and_edits_what_other_processes_do(stage: Stage) -> None:
    stop = asyncio.Event()
    async with stage.door(long_poll_s=20) as door:
        running = asyncio.create_task(door.run(stop))
        approval = await asyncio.to_thread(stage.ask)
        await asyncio.to_thread(stage.api.wait_for, lambda: bool(stage.api.messages))
        await asyncio.to_thread(stage.decide_at_cli, approval.id, approve=True)
        await asyncio.to_thread(stage.api.wait_for, lambda: stage.api.count("editMessageText") == 1)
        stop.set()
        await running
    assert "Approved by owner via cli" in stage.last_text()
    assert stage.count_rows(telegram_messages, telegram_messages.c.shown == "to_do") == 1


async def test_a_wrong_token_ends_the_door_with_the_remedy(stage: Stage) -> None:
    stage.api.token = "another"
    async with stage.door() as door:
        with pytest.raises(TokenRefused, match="D8_TELEGRAM_TOKEN with @BotFather"):
            await door.run(asyncio.Event())


async def test_a_token_that_worked_before_is_tried_again(stage: Stage) -> None:
    async with stage.door() as door:
        await greet(stage, door)
        stage.api.fail_next("getUpdates", Failure(401, "Unauthorized"))
        with pytest.raises(TelegramAway):
            await door.take_in()
        await door.take_in()


async def test_another_reader_of_the_bot_is_named(stage: Stage) -> None:
    async with stage.door() as door:
        stage.api.fail_next("getUpdates", Failure(409, "Conflict: terminated by other getUpdates request"))
        with pytest.raises(TelegramAway, match="stop the other process"):
            await door.take_in()


async def test_the_token_is_in_no_log_and_no_error(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("httpx").setLevel(logging.DEBUG)
    logging.getLogger("telegram").setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    async with stage.door() as door:
        await greet(stage, door)
    async with open_api(TOKEN, f"http://127.0.0.1:{free_port()}/bot") as api:
        with pytest.raises(TelegramAway) as away:
            await api.fetch_updates(None, 0)
    async with open_api(TOKEN, "ftp://{token}.example/bot") as api:
        with pytest.raises(TelegramAway) as wrong:
            await api.send(ANA, "hola", (), ask_reply=False)
    for caught in (away, wrong):
        assert TOKEN not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
    assert TOKEN not in caplog.text

"""Updates that Telegram brings: proven, stored, and only then taken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection
from starlette.applications import Starlette

from master.approvals import ApprovalState
from master.settings import load_settings
from master.telegram.refusals import OTHERS, Reason
from master.telegram.tables import telegram_inbox
from master.telegram.webhook import PATH, find_webhook
from master.telegram.webhook_routes import webhook_routes
from tasks.errors import InvalidInput
from tests.integration.telegram.stage import ANA, STRANGER, TOKEN, Stage, announced

pytestmark = pytest.mark.anyio

SETTINGS = {
    "telegram_token": TOKEN,
    "telegram_users": str(ANA),
    "telegram_webhook_url": "https://d8.example/",
}
Write = Callable[[Callable[[Connection], None]], Awaitable[None]]


def committing(stage: Stage) -> Write:
    async def write(act: Callable[[Connection], None]) -> None:
        with stage.database.write() as connection:
            act(connection)

    return write


def client(stage: Stage, write: Write) -> httpx.AsyncClient:
    app = Starlette(routes=webhook_routes(load_settings(**SETTINGS), write, stage.clock))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://master")


def headers(secret: str | None = None) -> dict[str, str]:
    webhook = find_webhook(load_settings(**SETTINGS))
    assert webhook is not None
    return {"X-Telegram-Bot-Api-Secret-Token": webhook.secret if secret is None else secret}


def command(text: str, *, user: int = ANA, number: int = 5) -> dict[str, Any]:
    message = {"message_id": 9, "from": {"id": user}, "chat": {"id": user, "type": "private"}, "text": text}
    return {"update_id": number, "message": message}


async def test_an_update_is_stored_once_before_it_is_taken(stage: Stage) -> None:
    async with client(stage, committing(stage)) as telegram:
        for _ in range(2):
            answer = await telegram.post(PATH, json=command("/estado"), headers=headers())
            assert answer.status_code == 200
    assert stage.count_rows(telegram_inbox) == 1


async def test_an_update_that_cannot_be_stored_is_not_taken(stage: Stage) -> None:
    async def broken(act: Callable[[Connection], None]) -> None:
        raise OSError("the disk is full")

    async with client(stage, broken) as telegram:
        with pytest.raises(OSError, match="disk is full"):
            await telegram.post(PATH, json=command("/estado"), headers=headers())
    assert stage.count_rows(telegram_inbox) == 0


@pytest.mark.parametrize("secret", ["", "guess", "ñ", "x" * 5000])
async def test_who_does_not_know_the_secret_is_refused_and_counted(stage: Stage, secret: str) -> None:
    async with client(stage, committing(stage)) as telegram:
        given = {"X-Telegram-Bot-Api-Secret-Token": secret.encode()} if secret else {}
        answer = await telegram.post(PATH, json=command("/pausa"), headers=given)
    assert answer.status_code == 401
    assert stage.count_rows(telegram_inbox) == 0
    assert stage.refusals(OTHERS) == {Reason.FORGED: 1}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"update_id": "5"}', b'{"update_id": true}', b"\xff", b"[" * 99_999]
)
async def test_what_is_no_update_is_refused(stage: Stage, body: bytes) -> None:
    async with client(stage, committing(stage)) as telegram:
        answer = await telegram.post(PATH, content=body, headers=headers())
    assert answer.status_code == 400
    assert stage.refusals(OTHERS) == {Reason.MALFORMED: 1}


async def test_a_stranger_is_counted_and_not_stored(stage: Stage) -> None:
    async with client(stage, committing(stage)) as telegram:
        answer = await telegram.post(PATH, json=command("/pausa", user=STRANGER), headers=headers())
    assert answer.status_code == 200
    assert stage.count_rows(telegram_inbox) == 0
    assert stage.refusals(STRANGER) == {Reason.STRANGER: 1}


async def test_the_door_sets_the_webhook_acts_on_what_comes_and_fetches_nothing(
    stage: Stage,
) -> None:
    stop = asyncio.Event()
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        polls = stage.api.count("getUpdates")
        door.webhook = find_webhook(load_settings(**SETTINGS))
        running = asyncio.create_task(door.run(stop))
        await asyncio.to_thread(stage.api.wait_for, lambda: stage.api.count("getWebhookInfo") == 1)
        assert stage.api.webhook["url"] == f"https://d8.example{PATH}"
        assert stage.api.webhook["secret_token"] == headers()["X-Telegram-Bot-Api-Secret-Token"]
        async with client(stage, committing(stage)) as telegram:
            await telegram.post(PATH, json=command(f"/aprobar {approval.id}"), headers=headers())
        await asyncio.to_thread(
            stage.api.wait_for, lambda: "Approved" in stage.api.messages[ANA, card]["text"]
        )
        stop.set()
        await running
    assert stage.api.count("getUpdates") == polls
    assert stage.look(approval.id).state is ApprovalState.APPROVED


async def test_a_webhook_that_is_left_over_is_taken_away_and_fetching_goes_on(stage: Stage) -> None:
    stage.api.webhook = {"url": "https://old.example"}
    stop = asyncio.Event()
    async with stage.door(long_poll_s=20) as door:
        running = asyncio.create_task(door.run(stop))
        stage.api.write(ANA, "/estado")
        await asyncio.to_thread(stage.api.wait_for, lambda: bool(stage.api.messages))
        stop.set()
        await running
    assert stage.api.webhook == {}


def test_an_address_that_telegram_cannot_reach_is_named(d8_home: object) -> None:
    with pytest.raises(InvalidInput, match=r"D8_TELEGRAM_WEBHOOK_URL is 'd8\.example'"):
        find_webhook(load_settings(telegram_token=TOKEN, telegram_webhook_url="d8.example"))
    assert find_webhook(load_settings(telegram_token=TOKEN)) is None

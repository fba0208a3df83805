"""The Telegram door: the real client library and a real database against a strict local Bot API."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from master.approvals import (
    ApprovalState,
    Policy,
    expire_approvals,
)
from master.approvals.tables import approvals
from master.fleet.notices import close_notice, open_notice
from master.store.tables import events, outcomes
from master.telegram.api import TelegramAway, TokenRefused, open_api
from master.telegram.callbacks import Press, Verb, encode_press
from master.telegram.inbox import InboxState
from master.telegram.refusals import Reason
from master.telegram.tables import telegram_inbox, telegram_messages
from tests.conftest import StartProcess
from tests.integration.bot_api import BotApi, Failure
from tests.integration.telegram.stage import (
    ABANDON,
    ANA,
    APPROVE,
    BEA,
    DETAILS,
    DONE,
    REJECT,
    STRANGER,
    TOKEN,
    Stage,
    announced,
    greet,
    settle,
)
from tests.support import Process, free_port

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


async def test_what_is_stored_is_processed_by_the_next_process(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        stage.api.tap_button(ANA, card, APPROVE)
        await door.take_in()
    # Killed here: stored, not confirmed, not processed. Telegram delivers it again.
    async with stage.door() as door:
        assert stage.api.unconfirmed() == 1
        assert await door.take_in() == 0
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.APPROVED
    assert stage.count_rows(events, events.c.name == "approval_decided") == 1
    assert stage.api.unconfirmed() == 0


async def test_an_update_that_cannot_be_stored_is_not_confirmed(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        stage.api.tap_button(ANA, card, APPROVE)
        with stage.database.write() as connection:
            telegram_inbox.drop(connection)
        with pytest.raises(Exception, match="no such table"):
            await door.take_in()
        with stage.database.write() as connection:
            telegram_inbox.create(connection)
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.APPROVED


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


@dataclass
class Killer:
    """Ends the process before or after the given one of its steps (a transaction, a call)."""

    at: int
    steps: int = 0

    def wrap(self, act: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def acting(*given: Any, **named: Any) -> Any:
            self._step()
            value = await act(*given, **named)
            self._step()
            return value

        return acting

    def _step(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            raise Killed


async def test_a_kill_before_or_after_any_step_loses_and_doubles_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.policy = Policy(daily_questions=1000)
    killed = True
    points = 0
    while killed:
        points += 1
        async with stage.door() as door:
            approval, card = await announced(stage, door)
        stage.api.tap_button(ANA, card, APPROVE)
        stage.api.write(ANA, f"/ver {approval.id}")
        killer = Killer(at=points)
        async with stage.door() as door:
            with monkeypatch.context() as patch:
                patch.setattr(asyncio, "to_thread", killer.wrap(asyncio.to_thread))
                for call in ("fetch_updates", "send", "edit", "answer"):
                    patch.setattr(door.api, call, killer.wrap(getattr(door.api, call)))
                try:
                    await settle(door)
                    killed = False
                except Killed:
                    pass
        async with stage.door() as door:
            await settle(door)
        assert stage.look(approval.id).state is ApprovalState.APPROVED, points
        assert APPROVE not in stage.api.buttons(ANA, card), points
        assert "Aprobada" in stage.last_text(), points
    assert points > 20
    assert stage.count_rows(events, events.c.name == "approval_decided") == points


async def test_a_stranger_is_ignored_and_recorded_once(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        sent = stage.api.count("sendMessage")
        stage.api.write(STRANGER, f"/aprobar {approval.id}")
        stage.api.write(STRANGER, "hola?")
        stage.api.tap(STRANGER, stage.api.buttons(ANA, card)[APPROVE], card)
        await settle(door)
        assert stage.api.count("sendMessage") == sent
        assert stage.api.count("answerCallbackQuery") == 0
        await door.take_in()
    assert stage.look(approval.id).state is ApprovalState.PENDING
    assert stage.refusals(STRANGER) == {Reason.STRANGER: 3}
    assert stage.count_rows(events, events.c.name == "telegram_refused") == 1
    assert stage.api.unconfirmed() == 0


async def test_a_group_chat_is_refused(stage: Stage) -> None:
    async with stage.door() as door:
        approval, _ = await announced(stage, door)
        stage.api.write(ANA, f"/aprobar {approval.id}", chat={"id": -100, "type": "group"})
        stage.api.write(ANA, "nice weather", chat={"id": -100, "type": "group"})
        stage.api.write(ANA, f"/aprobar {approval.id}", chat={"id": -100, "type": "group"})
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.PENDING
    assert stage.refusals(ANA) == {Reason.GROUP: 2}
    assert [stage.api.text(-100, n) for n in stage.api.shown(-100)] == [
        "Solo acepto órdenes en un chat privado."
    ]


async def test_a_forged_button_decides_nothing_and_is_recorded(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        press = Press(verb=Verb.APPROVE, approval_id=approval.id, revision=1)
        stage.api.tap(ANA, encode_press(press, b"another key"), card)
        stage.api.tap(ANA, "", card)
        stage.api.tap(ANA, f"a:{approval.id}:1:", card)
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.PENDING
    assert stage.refusals(ANA) == {Reason.FORGED: 3}


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


async def test_an_old_tap_that_telegram_no_longer_wants_answered_still_counts(stage: Stage) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        stage.api.fail_next("answerCallbackQuery", Failure(400, "Bad Request: query is too old"))
        stage.api.tap_button(ANA, card, APPROVE)
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.APPROVED


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


async def test_unreadable_updates_do_not_stop_the_others(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage.door() as door:
        approval, card = await announced(stage, door)
        stage.api.add_update({"message": {"from": {"id": ANA}, "text": 7}})
        stage.api.add_update({"something_new": {"from": {"id": ANA}}})
        stage.api.add_update({"message": {"message_id": 5, "from": {"id": ANA}, "chat": {"id": ANA}}})
        stage.api.tap_button(ANA, card, APPROVE)
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.APPROVED
    assert stage.count_rows(telegram_inbox, telegram_inbox.c.state == InboxState.FAILED) == 1
    assert stage.refusals(ANA) == {Reason.MALFORMED: 1}
    assert "telegram_update_unreadable" in caplog.text


async def test_old_processed_updates_are_forgotten_in_time(stage: Stage) -> None:
    async with stage.door() as door:
        await greet(stage, door)
        stage.now += timedelta(days=4)
        stage.api.write(ANA, "/estado")
        await settle(door)
    assert stage.count_rows(telegram_inbox) == 1


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


def start_door(start_process: StartProcess, home: Path, api: BotApi, token: str) -> Process:
    return start_process(
        [sys.executable, "-m", "master.telegram"],
        env={
            "D8_HOME": str(home),
            "D8_TELEGRAM_TOKEN": token,
            "D8_TELEGRAM_USERS": str(ANA),
            "D8_TELEGRAM_API_URL": api.url,
        },
    )


def test_without_a_token_the_process_says_so_and_ends_well(
    start_process: StartProcess, d8_home: Path, stage: Stage
) -> None:
    process = start_door(start_process, d8_home, stage.api, token="")
    assert process.wait() == 0
    assert "D8_TELEGRAM_TOKEN is not set" in process.output()
    assert stage.api.calls == []


def test_a_refused_token_is_one_paragraph_and_exit_code_3(
    start_process: StartProcess, d8_home: Path, stage: Stage
) -> None:
    process = start_door(start_process, d8_home, stage.api, token="1:wrong-token")
    assert process.wait() == 3
    assert "refuses the bot's token" in process.output().splitlines()[-1]
    assert "Traceback" not in process.output()
    assert "wrong-token" not in process.output()


def test_the_process_survives_kill_9_and_stops_cleanly_when_asked(
    start_process: StartProcess, d8_home: Path, stage: Stage
) -> None:
    stage.now = datetime.now(UTC)
    approval = stage.ask()
    first = start_door(start_process, d8_home, stage.api, TOKEN)
    stage.api.wait_for(lambda: bool(stage.api.messages))
    first.kill_group()
    stage.api.tap_button(ANA, stage.api.shown(ANA)[-1], "✅ Approve")

    second = start_door(start_process, d8_home, stage.api, TOKEN)
    stage.api.wait_for(lambda: any("Aprobada" in seen["text"] for seen in stage.api.messages.values()))
    second.signal(signal.SIGTERM)
    assert second.wait() == 0
    assert "telegram_stopped" in second.output()
    assert TOKEN not in first.output() + second.output()
    assert stage.look(approval.id).state is ApprovalState.APPROVED

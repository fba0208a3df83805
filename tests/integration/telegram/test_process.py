"""``python -m master.telegram``: how it starts, ends and survives."""

from __future__ import annotations

import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from master.approvals import ApprovalState
from tests.conftest import StartProcess
from tests.integration.bot_api import BotApi
from tests.integration.telegram.stage import ANA, TOKEN, Stage
from tests.support import Process


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

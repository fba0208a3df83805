"""A tap wakes its run over a real broker, without waiting for a sweep."""

from __future__ import annotations

import json
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import update

from master.store.tables import steps
from tasks.lanes import MASTER_QUEUE
from tests.conftest import StartProcess
from tests.integration.telegram.stage import ANA, TOKEN, Stage
from tests.support import Valkey, wait_until


def test_a_tap_rings_for_the_run_that_waits(
    stage: Stage, valkey: Valkey, d8_home: Path, start_process: StartProcess
) -> None:
    stage.now = datetime.now(UTC)
    approval = stage.ask()
    with stage.database.write() as connection:
        connection.execute(update(steps).values(awaited=True))
    door = start_process(
        [sys.executable, "-m", "master.telegram"],
        env={
            "D8_HOME": str(d8_home),
            "D8_BROKER_URL": valkey.url,
            "D8_TELEGRAM_TOKEN": TOKEN,
            "D8_TELEGRAM_USERS": str(ANA),
            "D8_TELEGRAM_API_URL": stage.api.url,
        },
    )
    stage.api.wait_for(lambda: bool(stage.api.messages))
    stage.api.tap_button(ANA, stage.api.shown(ANA)[-1], "✅ Approve")
    with valkey.client() as broker:
        rung = wait_until(lambda: broker.lrange(MASTER_QUEUE, 0, -1), 20.0, "a pass is due", door.tail)
        message = json.loads(rung[0])
        broker.delete(MASTER_QUEUE)
    assert message["headers"]["task"] == "master.advance"
    assert approval.run_id in message["headers"]["kwargsrepr"]
    door.signal(signal.SIGTERM)
    assert door.wait() == 0
    assert "Traceback" not in door.output()

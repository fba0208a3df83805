"""``scripts/bench approvals``: from a tap on Telegram to the next step of the run that waited for it.

A real master (API, broker, beat, its own worker, the Telegram door) and a real worker; a local Bot API
stands for Telegram. A number of runs wait for an answer. Then one tap after the other is made, and the
clock runs from the moment at which the Bot API has the tap until the worker holds the run's next
step, which is later than its ticket's publishing: both are reported.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from master.approvals import ApprovalState
from master.approvals.tables import approvals
from master.cli.base import connect
from master.settings import load_settings
from master.store import Database
from master.store.tables import events, runs, steps
from master.telegram.callbacks import Press, Verb, callback_key, encode_press
from tests.integration.bot_api import BotApi
from tests.support import ROOT, free_port, wait_until

TOKEN = "4242:bench"
PERSON = 4711


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench approvals", description=__doc__)
    parser.add_argument("--taps", type=int, default=300)
    parser.add_argument("--pause", type=float, default=0.25, help="seconds between two taps")
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("D8_") and name != "D8_BENCH_LOG"]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="d8-approvals-") as folder, BotApi(TOKEN) as api:
        os.environ |= {
            "D8_HOME": folder,
            "D8_PORT": str(free_port()),
            "D8_AGENT_PORT": "0",
            "D8_TELEGRAM_TOKEN": TOKEN,
            "D8_TELEGRAM_USERS": str(PERSON),
            "D8_TELEGRAM_API_URL": api.url,
        }
        with _fleet(Path(folder)):
            figures = measure(api, options.taps, options.pause)
    sys.stdout.write(json.dumps(figures) + "\n")


def measure(api: BotApi, taps: int, pause_s: float) -> dict[str, Any]:
    """Let runs wait, tap, and see when each goes on."""
    client, database = connect(), Database(load_settings().sqlalchemy_url)
    for number in range(taps):
        client.post("/api/runs", {"flow": "rehearsal", "params": {"title": f"Question {number}"}})
    waiting = wait_until(lambda: _waiting(database, taps), 600, f"{taps} runs wait")
    print(f"approvals: {taps} runs wait", file=sys.stderr)
    tapped: dict[str, datetime] = {}
    key = callback_key(TOKEN)
    for number, (approval_id, run_id) in enumerate(waiting):
        data = encode_press(Press(verb=Verb.APPROVE, approval_id=approval_id, revision=1), key)
        tapped[run_id] = datetime.now(UTC)
        api.tap(PERSON, data, 1_000_000 + number)
        time.sleep(pause_s)
    wait_until(lambda: _all_done(database, taps), 120, "every run is done")
    figures = _figures(database, tapped)
    database.close()
    return figures


def _waiting(database: Database, count: int) -> list[tuple[str, str]]:
    with database.read() as connection:
        query = select(approvals.c.id, approvals.c.run_id).where(approvals.c.state == ApprovalState.PENDING)
        found = [(row.id, row.run_id) for row in connection.execute(query)]
    return found if len(found) == count else []


def _all_done(database: Database, count: int) -> bool:
    with database.read() as connection:
        done = connection.execute(select(runs.c.id).where(runs.c.state == "done")).all()
    return len(done) == count


def _figures(database: Database, tapped: dict[str, datetime]) -> dict[str, Any]:
    with database.read() as connection:
        held = connection.execute(
            select(steps.c.run_id, steps.c.created_at, steps.c.claimed_at).where(steps.c.key == "after")
        ).all()
        decided = {
            row.run_id: row.at
            for row in connection.execute(
                select(events.c.run_id, events.c.at).where(events.c.name == "approval_decided")
            )
        }
    to_decision = sorted((decided[row.run_id] - tapped[row.run_id]).total_seconds() for row in held)
    to_step = sorted((row.created_at - tapped[row.run_id]).total_seconds() for row in held)
    to_worker = sorted((row.claimed_at - tapped[row.run_id]).total_seconds() for row in held)
    return {
        "taps": len(held),
        "tap_to_decision_p50_ms": _ms(to_decision, 0.5),
        "tap_to_step_p99_ms": _ms(to_step, 0.99),
        # Until the worker has claimed the step: its ticket was published before.
        "tap_to_resume_p50_ms": _ms(to_worker, 0.5),
        "tap_to_resume_p99_ms": _ms(to_worker, 0.99),
    }


def _ms(sorted_s: list[float], share: float) -> float:
    return round(1000 * sorted_s[min(len(sorted_s) - 1, int(share * len(sorted_s)))], 1)


@contextlib.contextmanager
def _fleet(home: Path) -> Iterator[None]:
    """``d8 up`` with one worker of two slots."""
    with (home / "up.log").open("w") as log:
        command = [sys.executable, "-m", "master.cli", "up", "--workers", "1", "--no-flower"]
        master = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            wait_until(lambda: "The master runs" in (home / "up.log").read_text(), 120, "the master runs")
            client = connect()
            wait_until(
                lambda: any(w["state"] == "active" for w in client.items("/api/workers")), 120, "a worker"
            )
            yield
        except BaseException:
            sys.stderr.write((home / "up.log").read_text()[-3000:])
            raise
        finally:
            master.send_signal(signal.SIGTERM)
            master.wait(60)
            if os.environ.get("D8_BENCH_LOG"):
                shutil.copytree(home / "logs", os.environ["D8_BENCH_LOG"], dirs_exist_ok=True)


if __name__ == "__main__":
    main()

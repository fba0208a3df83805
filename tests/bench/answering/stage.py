"""The requests, a real API process, and the database that they race on."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from master.approvals import ApprovalType, PolicyFile, Question
from master.clock import utc_now
from master.settings import load_settings
from master.store import Database
from master.tokens import Scope, create_token
from tests.asking import put_request
from tests.servers import Postgres
from tests.support import ROOT

PEOPLE = tuple(range(1001, 1009))


@dataclasses.dataclass(frozen=True)
class Asked:
    number: int
    id: str
    expires_at: datetime


def ask(database: Database, requests: int, seed: int) -> list[Asked]:
    """Each request with a run and a step of its own that wait for it."""
    chance = random.Random(f"{seed} ask")
    policy = PolicyFile(load_settings().policy_path)()
    now = utc_now()
    asked = []
    for start in range(0, requests, 500):
        with database.write() as connection:
            for number in range(start, min(requests, start + 500)):
                question = Question(
                    type=ApprovalType.PAYMENT,
                    title=f"Request {number}",
                    reason="To be raced for.",
                    cost_minor=chance.choice((0, 1250, 20_000)),
                    category="races",
                    # The clock of who expires is ahead, so that it reaches one request after the other.
                    expires_s=86_400 + number,
                )
                asked.append(_put(connection, number, question, policy, now))
    return asked


def _put(connection: Connection, number: int, question: Question, policy: Any, now: datetime) -> Asked:
    approval_id = put_request(
        connection, question, run_id=f"race-{number}", key="ask", policy=policy, now=now, awaited=True
    )
    assert question.expires_s is not None
    return Asked(number=number, id=approval_id, expires_at=now + timedelta(seconds=question.expires_s))


@contextlib.contextmanager
def api(home: Path, database: Database) -> Iterator[dict[int, str]]:
    """A real API process; a token for each person."""
    with database.write() as connection:
        tokens = {
            person: create_token(connection, Scope.OWNER, f"p{person}", now=datetime.now(UTC))
            for person in PEOPLE
        }
    process = subprocess.Popen([sys.executable, "-m", "master.api"], cwd=ROOT, env=dict(os.environ))
    url = f"http://127.0.0.1:{os.environ['D8_PORT']}/livez"
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
                break
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit(f"the API did not start in {home}")
            time.sleep(0.1)
        yield tokens
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def database_url(postgres: bool) -> Iterator[str]:
    if not postgres:
        yield ""
        return
    with tempfile.TemporaryDirectory(prefix="d8-races-pg-") as folder:
        server = Postgres(Path(folder))
        try:
            yield server.create_database("races")
        finally:
            server.stop()

"""``scripts/bench races``: many people answer the same requests at the same time, by every door.

Four processes walk the same requests in step. Each request is answered by two to eight deciders, drawn by
lot: buttons and commands through the Telegram door's own processing, the command line's client and
another program over HTTP against a real API process, and the clock, which expires it. Some
requests cost money, some need two people. Afterwards the database is asked what happened.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from master.approvals import (
    ApprovalState,
    ApprovalType,
    PolicyFile,
    Question,
    expire_approvals,
)
from master.approvals.tables import approvals
from master.capabilities import load_capabilities
from master.cli.base import Api
from master.clock import utc_now
from master.ledger.tables import ledger_entries
from master.settings import load_settings
from master.store import Database
from master.store.migrate import migrate
from master.store.tables import events, outcomes, runs
from master.telegram.callbacks import Press, Verb, callback_key, encode_press
from master.telegram.inbox import store_updates
from master.telegram.process import process_update
from master.telegram.status import count_facts
from master.telegram.ways import Ways
from master.tokens import Scope, create_token
from tasks.errors import D8Error
from tests.asking import put_request
from tests.servers import Postgres
from tests.support import ROOT, free_port

PROCESSES = 4
PEOPLE = tuple(range(1001, 1009))
KEY = callback_key("1:races")
DOORS = ("button", "button", "command", "cli", "api", "clock")
_CHUNK = 50
_POLICY = """
[PAYMENT]
tiers = [{ above = "100.00 EUR", quorum = 2 }]
[[budgets]]
category = "races"
month = "100000000.00 EUR"
"""


@dataclasses.dataclass(frozen=True)
class Act:
    """One decider's answer to one request."""

    door: str
    person: int
    approve: bool
    #: Of the Telegram update that carries it.
    update: int


@dataclasses.dataclass(frozen=True)
class Asked:
    number: int
    id: str
    expires_at: datetime


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench races", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL server instead of SQLite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="d8-races-") as folder, _database_url(options.postgres) as url:
        figures = race(Path(folder), options.requests, options.seed, url)
    sys.stdout.write(json.dumps(figures) + "\n")
    if figures["double_decisions"] or figures["double_postings"] or figures["lost"]:
        sys.exit(1)


def race(home: Path, requests: int, seed: int, url: str = "") -> dict[str, int]:
    """Ask, let them race, count. ``url``: of another database than SQLite in the home."""
    for name in [name for name in os.environ if name.startswith("D8_")]:
        del os.environ[name]
    os.environ |= {"D8_HOME": str(home), "D8_PORT": str(free_port()), "D8_BROKER_URL": "memory://"}
    if url:
        os.environ["D8_DATABASE_URL"] = url
    load_capabilities()
    (home / "policy.toml").write_text(_POLICY)
    database = Database(load_settings().sqlalchemy_url)
    migrate(database)
    try:
        asked = _ask(database, requests, seed)
        with _api(home, database) as tokens:
            _race(asked, seed, tokens)
        with database.read() as connection:
            return _count(connection, requests)
    finally:
        database.close()


def _race(asked: list[Asked], seed: int, tokens: dict[int, str]) -> None:
    context = multiprocessing.get_context("spawn")
    meet = context.Barrier(PROCESSES)
    processes = [
        context.Process(target=_decide_all, args=(number, meet, asked, seed, tokens))
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("a process of the race ended with an error: see above")


def _ask(database: Database, requests: int, seed: int) -> list[Asked]:
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


def acts_for(number: int, seed: int) -> list[Act]:
    """Two to eight answers; every process draws the same ones."""
    chance = random.Random(f"{seed} {number}")
    people = chance.sample(PEOPLE, chance.randint(2, 8))
    return [
        Act(
            door=chance.choice(DOORS),
            person=person,
            approve=chance.random() < 0.7,
            update=number * 10 + place + 1,
        )
        for place, person in enumerate(people)
    ]


def _decide_all(process: int, meet: Barrier, asked: list[Asked], seed: int, tokens: dict[int, str]) -> None:
    """One of the processes: its share of the answers, chunk by chunk in step with the others."""
    load_capabilities()
    settings = load_settings()
    database = Database(settings.sqlalchemy_url)
    policy = PolicyFile(settings.policy_path)
    clients = {
        person: Api(f"http://127.0.0.1:{settings.port}", token, 60) for person, token in tokens.items()
    }
    done = 0
    for start in range(0, len(asked), _CHUNK):
        meet.wait(600)
        for one in asked[start : start + _CHUNK]:
            for place, act in enumerate(acts_for(one.number, seed)):
                if place % PROCESSES == process:
                    _do(database, policy, clients, one, act)
                    done += 1
        if process == 0 and start % 1000 == 0:
            print(f"races: {start + _CHUNK} of {len(asked)} requests", file=sys.stderr)
    database.close()


def _do(database: Database, policy: PolicyFile, clients: dict[int, Api], one: Asked, act: Act) -> None:
    if act.door == "clock":
        with database.write() as connection:
            expire_approvals(connection, policy=policy(), now=one.expires_at)
    elif act.door in ("cli", "api"):
        body = {"approve": act.approve, "note": f"by {act.door}"}
        with contextlib.suppress(D8Error):
            clients[act.person].post(f"/api/approvals/{one.id}/decision", body)
    else:
        update = _button(one, act) if act.door == "button" and act.approve else _command(one, act)
        with database.write() as connection:
            store_updates(connection, [update], frozenset(PEOPLE), utc_now())
        ways = Ways(key=KEY, facts=count_facts, policy=policy)
        process_update(database, act.update, ways=ways, clock=utc_now)


def _person(act: Act) -> dict[str, Any]:
    return {"id": act.person, "first_name": f"P{act.person}", "language_code": "es", "is_bot": False}


def _button(one: Asked, act: Act) -> dict[str, Any]:
    data = encode_press(Press(verb=Verb.APPROVE, approval_id=one.id, revision=1), KEY)
    chat = {"id": act.person, "type": "private"}
    message = {"message_id": one.number + 1, "chat": chat, "date": 0}
    query = {"id": str(act.update), "from": _person(act), "data": data, "message": message}
    return {"update_id": act.update, "callback_query": query}


def _command(one: Asked, act: Act) -> dict[str, Any]:
    verb = "/aprobar" if act.approve else "/rechazar"
    message = {
        "message_id": act.update,
        "chat": {"id": act.person, "type": "private"},
        "from": _person(act),
        "date": 0,
        "text": f"{verb} {one.id} por carrera",
    }
    return {"update_id": act.update, "message": message}


def _count(connection: Connection, requests: int) -> dict[str, int]:
    decided = Counter(
        data["approval"]
        for data in connection.execute(
            select(events.c.data).where(events.c.name == "approval_decided")
        ).scalars()
    )
    wakes = connection.execute(select(runs.c.wake)).scalars().all()
    answers = connection.execute(select(func.count()).select_from(outcomes)).scalar_one()
    rows = connection.execute(select(approvals.c.id, approvals.c.state, approvals.c.cost_minor)).all()
    reserved = Counter(
        connection.execute(
            select(ledger_entries.c.approval_id).where(ledger_entries.c.kind == "reserve")
        ).scalars()
    )
    settled = [row for row in rows if row.state != ApprovalState.PENDING]
    for state, count in Counter(str(row.state) for row in rows).items():
        print(f"races: {count} {state}", file=sys.stderr)
    wrong_money = sum(
        reserved[row.id] != (row.state == ApprovalState.APPROVED and row.cost_minor > 0) for row in rows
    )
    undecided_votes = [row for row in rows if row.state == ApprovalState.PENDING]
    return {
        "requests": requests,
        "double_decisions": sum(count > 1 for count in decided.values()) + sum(wake > 2 for wake in wakes),
        "double_postings": wrong_money,
        # Decided, but without its event, its outcome or its wake-up; or never decided although enough did.
        "lost": sum(decided[row.id] != 1 for row in settled)
        + abs(len(settled) - answers)
        + abs(len(settled) - sum(wake == 2 for wake in wakes))
        + sum(_should_be_decided(connection, row.id) for row in undecided_votes),
    }


def _should_be_decided(connection: Connection, approval_id: str) -> bool:
    """Whether a request that still waits had enough yeses."""
    from master.approvals import get_approval

    approval = get_approval(connection, approval_id)
    return len(approval.votes) >= approval.quorum or approval.quorum == 1


@contextlib.contextmanager
def _api(home: Path, database: Database) -> Iterator[dict[int, str]]:
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
def _database_url(postgres: bool) -> Iterator[str]:
    if not postgres:
        yield ""
        return
    with tempfile.TemporaryDirectory(prefix="d8-races-pg-") as folder:
        server = Postgres(Path(folder))
        try:
            yield server.create_database("races")
        finally:
            server.stop()


if __name__ == "__main__":
    main()

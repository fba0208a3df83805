"""Who answers which request by which door, drawn by lot, and one process's share of it."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import sys
from multiprocessing.synchronize import Barrier
from typing import Any

from master.approvals import PolicyFile, expire_approvals
from master.capabilities import load_capabilities
from master.cli.base import Api
from master.clock import utc_now
from master.settings import load_settings
from master.store import Database
from master.telegram.callbacks import Press, Verb, callback_key, encode_press
from master.telegram.inbox import store_updates
from master.telegram.process import process_update
from master.telegram.status import count_facts
from master.telegram.ways import Ways
from tasks.errors import D8Error
from tests.bench.answering.stage import PEOPLE, Asked

PROCESSES = 4
KEY = callback_key("1:races")
DOORS = ("button", "button", "command", "cli", "api", "clock")
_CHUNK = 50


@dataclasses.dataclass(frozen=True)
class Act:
    """One decider's answer to one request."""

    door: str
    person: int
    approve: bool
    #: Of the Telegram update that carries it.
    update: int


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


def decide_all(process: int, meet: Barrier, asked: list[Asked], seed: int, tokens: dict[int, str]) -> None:
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

"""Ten thousand callbacks and commands that must not be accepted: none is, each is counted."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from sqlalchemy import func, select

from master.approvals import ApprovalState
from master.approvals.tables import approvals
from master.dispatch.pause import is_paused
from master.store.tables import events, outcomes
from master.telegram.callbacks import Press, Verb, callback_key, encode_press
from master.telegram.inbox import store_updates
from master.telegram.process import process_update
from master.telegram.refusals import OTHERS, Reason
from master.telegram.status import count_facts
from master.telegram.tables import telegram_inbox, telegram_messages, telegram_refusals
from master.telegram.ways import Ways
from tests.integration.telegram.stage import ANA, KEY, Stage

TRIES = 10_000
STRANGERS = range(90_000, 90_040)


class Attacker:
    """Makes one update after another, none of which may do anything."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.chance = random.Random(seed)
        self.open = [stage.ask() for _ in range(3)]
        self.decided = [stage.ask(cost_minor=0) for _ in range(3)]
        for approval in self.decided:
            stage.decide_at_cli(approval.id, approve=False)
        self.ids = [approval.id for approval in self.open]

    def make(self, number: int) -> tuple[dict[str, Any], Reason]:
        kinds = (self.forged, self.foreign, self.stale, self.replayed, self.unknown, self.malformed)
        kinds += (self.stranger_command, self.bad_command, self.group, self.nobody)
        update, reason = self.chance.choice(kinds)()
        return {"update_id": number, **update}, reason

    def forged(self) -> tuple[dict[str, Any], Reason]:
        data = encode_press(self.press(), KEY)
        changed = list(data)
        changed[self.chance.randrange(len(data))] = chr(self.chance.randrange(33, 0x2FF))
        options = (
            encode_press(self.press(), callback_key("4242:another")),
            "".join(changed) + "!",
            data[: self.chance.randrange(len(data))],
            f"a:{self.chance.choice(self.ids)}:1:{'A' * 16}",
            "".join(chr(self.chance.randrange(1, 0xD7FF)) for _ in range(self.chance.randrange(64))),
        )
        return tap(ANA, self.chance.choice(options)), Reason.FORGED

    def foreign(self) -> tuple[dict[str, Any], Reason]:
        return tap(self.stranger(), encode_press(self.press(), KEY)), Reason.STRANGER

    def stale(self) -> tuple[dict[str, Any], Reason]:
        revision = self.chance.choice((0, 2, 7, 99_999_999))
        return tap(ANA, encode_press(self.press(revision=revision), KEY)), Reason.STALE

    def replayed(self) -> tuple[dict[str, Any], Reason]:
        approval_id = self.chance.choice(self.decided).id
        return tap(ANA, encode_press(self.press(approval_id), KEY)), Reason.REPLAYED

    def unknown(self) -> tuple[dict[str, Any], Reason]:
        name = "".join(self.chance.choices("aeiou01", k=5))  # ids have no vowels
        if self.chance.random() < 0.5:
            return tap(ANA, encode_press(self.press(name), KEY)), Reason.UNKNOWN
        order = self.chance.choice(("aprobar", "reject", "hecho", "abandonar", "ver"))
        return message(ANA, f"/{order} {name} no"), Reason.UNKNOWN

    def malformed(self) -> tuple[dict[str, Any], Reason]:
        query = {"id": "1", "from": {"id": ANA}}
        options: tuple[dict[str, Any], ...] = (
            {"callback_query": query},
            {"callback_query": {**query, "data": 7, "message": {"message_id": "x"}}},
            {"callback_query": {**query, "inline_message_id": "x", "data": "a:b:1:c"}},
            {"message": {"from": {"id": ANA}, "text": f"/aprobar {self.ids[0]}"}},
            {"message": {"message_id": 1, "from": {"id": ANA}, "chat": {"id": "?"}, "text": "/pausa"}},
        )
        return self.chance.choice(options), Reason.MALFORMED

    def stranger_command(self) -> tuple[dict[str, Any], Reason]:
        order = self.chance.choice(("aprobar", "rechazar", "hecho", "pausa", "estado", "start"))
        return message(self.stranger(), f"/{order} {self.chance.choice(self.ids)} 1"), Reason.STRANGER

    def bad_command(self) -> tuple[dict[str, Any], Reason]:
        options = (
            ("/aprobar", Reason.INCOMPLETE),
            ("/done", Reason.INCOMPLETE),
            ("/gastos 99", Reason.INCOMPLETE),
            (f"aprobar {self.ids[0]}", Reason.INCOMPLETE),
            (f"/aprobar{self.ids[0]}", Reason.INCOMPLETE),
            ("/approve@", Reason.INCOMPLETE),
            (f"/hecho {self.ids[1]} 1", Reason.REPLAYED),
            (f"/abandonar {self.ids[1]} no", Reason.REPLAYED),
            (f"/aprobar {self.decided[0].id}", Reason.REPLAYED),
        )
        text, reason = self.chance.choice(options)
        return message(ANA, text), reason

    def group(self) -> tuple[dict[str, Any], Reason]:
        chat = {"id": -5, "type": "group"}
        if self.chance.random() < 0.5:
            return tap(ANA, encode_press(self.press(), KEY), chat), Reason.GROUP
        return message(ANA, f"/aprobar {self.chance.choice(self.ids)}", chat), Reason.GROUP

    def nobody(self) -> tuple[dict[str, Any], Reason]:
        options: tuple[dict[str, Any], ...] = (
            {"message": {"message_id": 1, "chat": {"id": ANA, "type": "private"}, "text": "/pausa"}},
            {"callback_query": {"from": {"id": str(ANA)}, "data": "x"}},
            {"message": {"from": {"id": 2**80}}},
            {"message": [ANA]},
        )
        return self.chance.choice(options), Reason.MALFORMED

    def press(self, approval_id: str = "", revision: int = 1) -> Press:
        verb = self.chance.choice((Verb.APPROVE, Verb.REJECT, Verb.DONE, Verb.ABANDON))
        return Press(verb=verb, approval_id=approval_id or self.chance.choice(self.ids), revision=revision)

    def stranger(self) -> int:
        return self.chance.choice(STRANGERS)


def tap(user: int, data: str, chat: dict[str, Any] | None = None) -> dict[str, Any]:
    place = {"message_id": 1, "date": 0, "chat": chat or {"id": user, "type": "private"}}
    return {"callback_query": {"id": "1", "from": {"id": user}, "data": data, "message": place}}


def message(user: int, text: str, chat: dict[str, Any] | None = None) -> dict[str, Any]:
    place = chat or {"id": user, "type": "private"}
    return {"message": {"message_id": 1, "from": {"id": user}, "chat": place, "text": text}}


def test_ten_thousand_forged_stale_foreign_and_malformed_ones_are_refused_and_counted(stage: Stage) -> None:
    attacker = Attacker(stage, seed=3)
    ways = Ways(key=KEY, facts=count_facts, policy=lambda: stage.policy)
    expected: Counter[Reason] = Counter()
    before = stage.count_rows(events)
    for begin in range(0, TRIES, 100):
        made = [attacker.make(number) for number in range(begin, begin + 100)]
        expected.update(reason for _, reason in made)
        with stage.database.write(durable=False) as connection:
            store_updates(connection, [update for update, _ in made], stage.users, stage.now)
        for update, _ in made:
            process_update(stage.database, update["update_id"], ways=ways, clock=stage.clock)
    with stage.database.read() as connection:
        table = telegram_refusals.c
        query = select(table.reason, func.sum(table.count)).group_by(table.reason)
        counted = {Reason(reason): int(count) for reason, count in connection.execute(query)}
        assert not is_paused(connection)
    assert counted == dict(expected)
    assert sum(counted.values()) == TRIES
    assert min(counted.values()) > 100
    assert stage.count_rows(approvals, approvals.c.state == ApprovalState.PENDING) == 3
    assert stage.count_rows(outcomes) == 3
    assert stage.count_rows(telegram_inbox, telegram_inbox.c.state == "failed") <= 1
    # What they leave behind does not grow with the number of tries.
    people = len(STRANGERS) + len({ANA, OTHERS})
    assert stage.count_rows(telegram_refusals) <= people * len(Reason)
    assert stage.count_rows(events) - before <= stage.count_rows(telegram_refusals)
    assert stage.count_rows(telegram_messages, telegram_messages.c.chat_id.in_(STRANGERS)) == 0

"""People who press what they see, and requests for them to see."""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import select

from master.approvals import ApprovalType, Question
from master.approvals.policy_file import parse_policy
from master.approvals.tables import approvals
from master.store import Database
from tests.asking import put_request
from tests.integration.bot_api import BotApi

#: Each is asked about one size of cost, so that many chats are busy at once.
USERS = tuple(range(1001, 1026))
APPROVE, REJECT, DONE = "a", "r", "e"


def policy_text() -> str:
    tiers = ", ".join(
        f'{{ above = "{number}.00 EUR", deciders = ["telegram:{user}"] }}'
        for number, user in enumerate(USERS, start=1)
    )
    return f"daily_questions = 1000\n[PAYMENT]\nremind_after = []\ntiers = [{tiers}]\n"


_POLICY = parse_policy(policy_text(), "bench")


@dataclass
class Act:
    """What somebody decided about a request, and whether they did it afterwards."""

    user: int
    cost_minor: int
    until: str
    decided: str = ""
    done_minor: int | None = None


@dataclass
class People:
    api: BotApi
    database: Database
    chance: random.Random
    #: By request.
    acts: dict[str, Act] = field(default_factory=dict)
    presses: int = 0
    _pressed_orphans: set[tuple[int, int, str]] = field(default_factory=set)

    def waiting(self) -> int:
        return sum(not act.decided for act in self.acts.values())

    def look_and_press(self) -> int:
        """Press what is new in any chat; returns how many presses that were."""
        before = self.presses
        for chat, number, verb, approval_id, data in self._buttons():
            act = self.acts[approval_id]
            if verb == APPROVE and not act.decided:
                self._answer(act, chat, number, approval_id, data)
            elif verb == DONE and act.decided == "approved" and act.done_minor is None:
                self._do(act, chat, number, approval_id, data)
        return self.presses - before

    def orphans(self) -> int:
        """Messages with buttons that say something else than what was decided."""
        return len({(chat, number) for chat, number, *_ in self._outdated()} | self._pressed_messages())

    def press_orphans(self) -> int:
        """A copy whose sending was cut off by a kill is unknown to the door until somebody uses it."""
        pressed = 0
        for chat, number, _, approval_id, data in self._outdated():
            if (chat, number, data) not in self._pressed_orphans and self._is_settled(approval_id):
                self._pressed_orphans.add((chat, number, data))
                self._tap(self.acts[approval_id].user, data, number)
                pressed += 1
        return pressed

    def _pressed_messages(self) -> set[tuple[int, int]]:
        return {(chat, number) for chat, number, _ in self._pressed_orphans}

    def _outdated(self) -> list[tuple[int, int, str, str, str]]:
        return [
            (chat, number, verb, approval_id, data)
            for chat, number, verb, approval_id, data in self._buttons()
            if (verb == APPROVE and self.acts[approval_id].decided)
            or (verb == DONE and self.acts[approval_id].done_minor is not None)
        ]

    def _is_settled(self, approval_id: str) -> bool:
        """The database agrees with what was pressed: only then is a card with old buttons an orphan."""
        act = self.acts[approval_id]
        wanted = "executed" if act.done_minor is not None else act.decided
        with self.database.read() as connection:
            state = connection.execute(
                select(approvals.c.state).where(approvals.c.id == approval_id)
            ).scalar_one()
        return bool(state == wanted)

    def _answer(self, act: Act, chat: int, number: int, approval_id: str, data: str) -> None:
        if self.chance.random() < 0.75:
            act.decided = "approved"
            for _ in range(2 if self.chance.random() < 0.2 else 1):
                self._tap(act.user, data, number)
        else:
            act.decided = "rejected"
            self._write(act.user, f"/rechazar {approval_id} demasiado caro")

    def _do(self, act: Act, chat: int, number: int, approval_id: str, data: str) -> None:
        if self.chance.random() < 0.6:
            act.done_minor = act.cost_minor
            for _ in range(2 if self.chance.random() < 0.2 else 1):
                self._tap(act.user, data, number)
        else:
            act.done_minor = act.cost_minor - 25
            cost = f"{act.done_minor // 100},{act.done_minor % 100:02d}"
            self._write(act.user, f"/hecho {approval_id} {cost} factura-{approval_id}")

    def _tap(self, user: int, data: str, number: int) -> None:
        self.presses += 1
        self.api.tap(user, data, number)

    def _write(self, user: int, text: str) -> None:
        self.presses += 1
        self.api.write(user, text)

    def _buttons(self) -> list[tuple[int, int, str, str, str]]:
        """Chat, message, verb, request and data of every button that is shown."""
        with self.api._changed:
            shown = list(self.api.messages.items())
        found = []
        for (chat, number), message in shown:
            for row in message["markup"].get("inline_keyboard", []):
                for key in row:
                    verb, approval_id = key["callback_data"].split(":")[:2]
                    found.append((chat, number, verb, approval_id, key["callback_data"]))
        return found


def ask(people: People) -> None:
    """A run that waits asks somebody."""
    place = people.chance.randrange(len(USERS))
    until = people.chance.choice(("decided", "executed"))
    cost_minor = 100 * (place + 1) + 50
    question = Question.model_validate(
        {
            "type": ApprovalType.PAYMENT,
            "title": "Dominio",
            "reason": "Hace falta",
            "cost_minor": cost_minor,
            "until": until,
        }
    )
    now = datetime.now(UTC)
    with people.database.write() as connection:
        run_id = secrets.token_hex(6)
        approval_id = put_request(
            connection, question, run_id=run_id, key="buy", policy=_POLICY, now=now, awaited=True
        )
    people.acts[approval_id] = Act(user=USERS[place], cost_minor=cost_minor, until=until)

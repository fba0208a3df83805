"""A database with approval requests, a strict Bot API, and doors that come and go."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import func, select

from master.approvals import (
    Approval,
    ApprovalType,
    Policy,
    Question,
    Voter,
    decide,
    get_approval,
)
from master.store import Database
from master.store.artifacts import ArtifactFolder
from master.telegram.api import open_api
from master.telegram.callbacks import callback_key
from master.telegram.pacing import Limits, Rate
from master.telegram.poll import Door
from master.telegram.spending import Spending
from master.telegram.status import count_facts
from master.telegram.tables import telegram_refusals
from master.telegram.ways import Ways
from tests.asking import put_request
from tests.integration.bot_api import BotApi

TOKEN = "4242:AAH-secret_of-the-bot"
ANA, BEA, STRANGER = 4711, 4712, 666
KEY = callback_key(TOKEN)
ANY_SPEED = Limits(**{name: Rate(most=10_000, per_s=0.001) for name in Limits.model_fields})
DONE, ABANDON = "☑️ Hecho por 12.50 EUR", "🚫 Abandonar"
APPROVE, REJECT, DETAILS = "✅ Aprobar", "❌ Rechazar", "🔎 Detalles"


@dataclass
class Stage:
    """A database with approval requests, a Bot API, and doors that come and go."""

    database: Database
    api: BotApi
    folder: ArtifactFolder
    now: datetime = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    users: frozenset[int] = frozenset({ANA})
    groups: frozenset[int] = frozenset()
    policy: Policy = field(default_factory=Policy)
    #: What the ledger knows, by month.
    spending: dict[str, tuple[Spending, ...]] = field(default_factory=dict)
    #: The clock stands still: with Telegram's own limits, only one message would ever be sent.
    limits: Limits = ANY_SPEED
    _count: int = field(default=0)

    def clock(self) -> datetime:
        return self.now

    @contextlib.asynccontextmanager
    async def door(self, *, long_poll_s: int = 0) -> AsyncIterator[Door]:
        async with open_api(TOKEN, self.api.url) as api:
            yield Door(
                database=self.database,
                api=api,
                users=self.users,
                ways=Ways(
                    key=KEY,
                    facts=count_facts,
                    policy=lambda: self.policy,
                    spending=lambda _, month: self.spending.get(month, ()),
                    groups=self.groups,
                ),
                folder=self.folder,
                limits=self.limits,
                clock=self.clock,
                retry_delay_s=lambda failures: 0.01,
                long_poll_s=long_poll_s,
                look_every_s=0.05,
            )

    def ask(self, **given: object) -> Approval:
        """A flow asks for a decision."""
        question = Question.model_validate(
            {
                "type": ApprovalType.PAYMENT,
                "title": "Dominio <tapas&vinos.es>",
                "reason": "El nicho lo necesita",
                "cost_minor": 1250,
                "evidence": {"score": "0.91"},
                **given,
            }
        )
        self._count += 1
        run_id, key = f"run{self._count}", "buy-domain"
        with self.database.write() as connection:
            approval_id = put_request(
                connection, question, run_id=run_id, key=key, policy=self.policy, now=self.now
            )
        return self.look(approval_id)

    def look(self, approval_id: str) -> Approval:
        with self.database.read() as connection:
            return get_approval(connection, approval_id)

    def decide_at_cli(self, approval_id: str, *, approve: bool) -> None:
        with self.database.write() as connection:
            decide(
                connection,
                approval_id,
                approve=approve,
                voter=Voter(identity="token:owner", name="owner", door="cli"),
                policy=self.policy,
                note="as agreed",
                now=self.now,
            )

    def count_rows(self, table: object, *where: object) -> int:
        with self.database.read() as connection:
            query = select(func.count()).select_from(table).where(*where)  # type: ignore[arg-type]
            return connection.execute(query).scalar_one()

    def refusals(self, user: int) -> dict[str, int]:
        """Reason -> how often this person met it."""
        table = telegram_refusals.c
        with self.database.read() as connection:
            query = select(table.reason, table.count).where(table.user_id == user)
            return {row.reason: row.count for row in connection.execute(query)}

    def last_text(self, chat: int = ANA) -> str:
        return self.api.text(chat, self.api.shown(chat)[-1])


async def settle(door: Door) -> None:
    """Take in, act and say until nothing is left to do."""
    while await door.take_in() + await door.act() + await door.outbox.run_pass():
        pass


async def greet(stage: Stage, door: Door, *users: int) -> None:
    """The person opens the chat, which tells the door their language."""
    for user in users or (ANA,):
        stage.api.write(user, "/start")
    await settle(door)


async def announced(stage: Stage, door: Door, **given: object) -> tuple[Approval, int]:
    """A request and the number of the message that announces it to Ana."""
    await greet(stage, door)
    approval = stage.ask(**given)
    await settle(door)
    return approval, stage.api.shown(ANA)[-1]

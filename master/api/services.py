"""What the doors are given: made once per process, handed to each."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from master.approvals import Policy
from master.clock import Clock
from master.fleet.releases import Releases
from master.rabbitmq import Management
from master.settings import Settings
from master.store import Database, Writer
from master.store.artifacts import ArtifactFolder

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Services:
    settings: Settings
    database: Database
    writer: Writer
    folder: ArtifactFolder
    clock: Clock
    build: str
    releases: Releases
    #: The owner's rules, read when they are needed. ``InvalidInput`` when the file is wrong.
    policy: Callable[[], Policy]
    #: RabbitMQ's management API, where there is one.
    rabbitmq: Management | None = None
    #: Claims refused since this process began, by ``RefusalReason``.
    refusals: Counter[str] = dataclasses.field(default_factory=Counter)

    async def write(self, function: Callable[[Connection], T], *, durable: bool = True) -> T:
        """Run a write in the next group commit; returns once it is committed (see ``Database.write``)."""
        return await asyncio.wrap_future(self.writer.submit(function, durable=durable))

    async def read(self, function: Callable[[Connection], T]) -> T:
        """Run a read off the event loop, so that a long one delays nobody's claim."""

        def work() -> T:
            with self.database.read() as connection:
                return function(connection)

        return await run_in_threadpool(work)

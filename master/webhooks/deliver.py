"""The outbox's way out: what is due is sent, and what came of it is written down.

A delivery is taken by one conditional update that also says when it is due again: a process that is killed while it
sends leaves it to be sent once more. Receivers know a repetition by its ``webhook-id``.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from master.clock import Clock
from master.events import record_event
from master.fleet.notices import open_notice
from master.store import Database
from master.webhooks.address import find_address, read_url
from master.webhooks.records import DELAYS, GIVEN_UP_AFTER, DeliveryState
from master.webhooks.send import Answer, send
from master.webhooks.signing import Sealer, sign
from master.webhooks.tables import webhook_deliveries, webhooks
from tasks.errors import D8Error
from tasks.log import say

log = logging.getLogger("d8.webhooks")

#: Longer than a try can take: what was taken and not answered for is due again.
_TAKEN = timedelta(seconds=60)
#: Sent to one receiver in one round.
_MOST = 50
_RECEIVERS_AT_ONCE = 4
#: A receiver in trouble is left alone for so long at most before the next delivery is tried.
_LONGEST_PAUSE_S = 600.0
_GONE = 410

Sender = Callable[..., Answer]


def deliver_due(
    database: Database,
    sealer: Sealer,
    clock: Clock,
    *,
    send: Sender = send,
    jitter: Callable[[], float] = random.random,
) -> int:
    """One round: every receiver in turn of its own, several at once. Returns how many deliveries arrived."""
    now = clock()
    due = (webhook_deliveries.c.state == DeliveryState.PENDING) & (webhook_deliveries.c.next_at <= now)
    with database.read() as connection:
        hooks = connection.execute(
            select(webhooks).where(
                webhooks.c.not_before.is_(None) | (webhooks.c.not_before <= now),
                webhooks.c.id.in_(select(webhook_deliveries.c.webhook_id).where(due)),
            )
        ).all()
    if not hooks:
        return 0
    courier = _Courier(database, sealer, clock, send, jitter)
    with ThreadPoolExecutor(min(len(hooks), _RECEIVERS_AT_ONCE), thread_name_prefix="webhook") as pool:
        return sum(pool.map(courier.serve, hooks))


class _Courier:
    """Goes to one receiver at a time with what is due there, oldest first."""

    def __init__(
        self, database: Database, sealer: Sealer, clock: Clock, send: Sender, jitter: Callable[[], float]
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._send = send
        self._jitter = jitter

    def serve(self, hook: Row[Any]) -> int:
        """Returns how many arrived. At the first that does not, the rest waits: the receiver is in trouble."""
        arrived = 0
        for delivery in self._due(hook):
            if not self._take(delivery):
                continue
            answer = self._try(hook, delivery)
            with self._database.write() as connection:
                self._record(connection, hook, delivery, answer)
            if not answer.arrived:
                say(
                    log, logging.WARNING, "webhook_not_delivered", webhook=hook.name, delivery=delivery.id,
                    status=answer.status, why=answer.error[:200],
                )  # fmt: skip
                break
            arrived += 1
        return arrived

    def _due(self, hook: Row[Any]) -> list[Row[Any]]:
        table = webhook_deliveries
        query = select(table).where(
            table.c.webhook_id == hook.id,
            table.c.state == DeliveryState.PENDING,
            table.c.next_at <= self._clock(),
        )
        if not hook.enabled:
            # What waits for one that is off stays; a test is sent all the same.
            query = query.where(table.c.event_seq.is_(None))
        with self._database.read() as connection:
            order = query.order_by(table.c.next_at, table.c.event_seq).limit(_MOST)
            return list(connection.execute(order).all())

    def _take(self, delivery: Row[Any]) -> bool:
        mine = (webhook_deliveries.c.id == delivery.id) & (webhook_deliveries.c.next_at == delivery.next_at)
        pending = webhook_deliveries.c.state == DeliveryState.PENDING
        with self._database.write(durable=False) as connection:
            taken = connection.execute(
                update(webhook_deliveries).where(mine, pending).values(next_at=self._clock() + _TAKEN)
            )
        return bool(taken.rowcount)

    def _try(self, hook: Row[Any], delivery: Row[Any]) -> Answer:
        now_s = self._clock().timestamp()
        try:
            target = read_url(hook.url)
            address = find_address(target, allow_local=hook.allow_local)
            secret = self._sealer.open(hook.secret)
        except D8Error as error:
            return Answer(status=0, error=str(error))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "D8-webhooks/1",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(int(now_s)),
            "webhook-signature": sign(secret, delivery.id, int(now_s), delivery.body),
        }
        return self._send(target, address, headers, delivery.body.encode(), now_s=now_s)

    def _record(self, connection: Connection, hook: Row[Any], delivery: Row[Any], answer: Answer) -> None:
        now, attempts = self._clock(), delivery.attempts + 1
        values: dict[str, Any] = {"attempts": attempts, "status": answer.status, "error": answer.error}
        if answer.arrived:
            values |= {"state": DeliveryState.DELIVERED, "next_at": None, "ended_at": now, "error": ""}
            _note_success(connection, hook.id)
        else:
            if attempts > len(DELAYS) or answer.status == _GONE:
                values |= {"state": DeliveryState.FAILED, "next_at": None, "ended_at": now}
            else:
                values["next_at"] = now + self._wait(attempts, answer)
            self._note_failure(connection, hook.id, answer, now)
        connection.execute(
            update(webhook_deliveries).where(webhook_deliveries.c.id == delivery.id).values(**values)
        )

    def _wait(self, attempts: int, answer: Answer) -> timedelta:
        """Up to a fifth longer than planned, so that what failed together does not come back together."""
        planned_s = DELAYS[attempts - 1].total_seconds() * (1 + 0.2 * self._jitter())
        return timedelta(seconds=max(planned_s, answer.retry_after_s))

    def _note_failure(self, connection: Connection, hook_id: str, answer: Answer, now: datetime) -> None:
        row = connection.execute(select(webhooks).where(webhooks.c.id == hook_id)).first()
        if row is None:
            return
        since = row.failing_since or now
        pause_s = min(_LONGEST_PAUSE_S, 5.0 * 2 ** min(row.failures, 10))
        values: dict[str, Any] = {
            "failing_since": since,
            "failures": row.failures + 1,
            "not_before": now + timedelta(seconds=max(pause_s, answer.retry_after_s)),
        }
        why = ""
        if answer.status == _GONE:
            why = "it answered 410: it wants no more"
        elif now - since >= GIVEN_UP_AFTER:
            why = f"nothing has arrived there for {GIVEN_UP_AFTER.days} days ({answer.status or answer.error[:200]})"
        if why and row.enabled:
            values |= {"enabled": False, "reason": why}
            hint = f"{why}. 'd8 webhook on {row.name}' tells it again"
            open_notice(
                connection,
                f"webhook:{row.name}",
                "webhook_off",
                now,
                worker=f"webhook {row.name}",
                reason=hint,
            )
            record_event(connection, "webhook_off", now, webhook=row.name, by="master", why=why)
        connection.execute(update(webhooks).where(webhooks.c.id == hook_id).values(**values))


def _note_success(connection: Connection, hook_id: str) -> None:
    in_trouble = (webhooks.c.id == hook_id) & webhooks.c.failing_since.is_not(None)
    values = {"failing_since": None, "failures": 0, "not_before": None}
    connection.execute(update(webhooks).where(in_trouble).values(**values))

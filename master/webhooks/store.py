"""Webhooks in the database: add, look, switch on, test, remove; their deliveries."""

from __future__ import annotations

import json
import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from master.events import record_event
from master.events.follow import check_patterns, newest_seq
from master.fleet.notices import close_notice
from master.store.order import later_of
from master.webhooks.address import read_url
from master.webhooks.records import KEPT, Delivery, DeliveryState, NewWebhook, Webhook
from master.webhooks.tables import webhook_deliveries, webhooks
from tasks.errors import NotFound, Refused

_PENDING = webhook_deliveries.c.state == DeliveryState.PENDING


def add_webhook(
    connection: Connection, wanted: NewWebhook, *, sealed: str, by: str, now: datetime
) -> Webhook:
    """Tell an address what happens from now on. ``sealed``: its secret, as it is kept."""
    read_url(wanted.url)
    if connection.execute(select(webhooks.c.id).where(webhooks.c.name == wanted.name)).first() is not None:
        raise Refused(
            f"there is a webhook called {wanted.name!r} already: choose another name, or take that one away with "
            f"'d8 webhook remove {wanted.name}'"
        )
    connection.execute(
        insert(webhooks).values(
            id=f"whk-{secrets.token_hex(6)}",
            name=wanted.name,
            url=wanted.url,
            events=list(check_patterns(wanted.events)),
            secret=sealed,
            allow_local=wanted.allow_local,
            enabled=True,
            reason="",
            seen=newest_seq(connection),
            failures=0,
            created_at=now,
            created_by=by,
        )
    )
    record_event(connection, "webhook_created", now, webhook=wanted.name, by=by)
    return get_webhook(connection, wanted.name)


def row_of(connection: Connection, name: str) -> Row[Any]:
    row = connection.execute(select(webhooks).where(webhooks.c.name == name)).first()
    if row is None:
        raise NotFound(f"no webhook is called {name[:60]!r}: 'd8 webhook list' shows them")
    return row


def get_webhook(connection: Connection, name: str) -> Webhook:
    """``NotFound`` says how to list them."""
    return _shown(connection, [row_of(connection, name)])[0]


def list_webhooks(connection: Connection) -> list[Webhook]:
    """All of them, by name."""
    return _shown(connection, connection.execute(select(webhooks).order_by(webhooks.c.name)).all())


def enable_webhook(connection: Connection, name: str, *, enabled: bool, by: str, now: datetime) -> Webhook:
    """On or off. What happened while it was off is not told; what waits is tried at once."""
    row = row_of(connection, name)
    values: dict[str, Any] = {"enabled": enabled, "reason": ""}
    if enabled and not row.enabled:
        values |= {"seen": newest_seq(connection), "failures": 0, "failing_since": None, "not_before": None}
        mine = (webhook_deliveries.c.webhook_id == row.id) & _PENDING
        connection.execute(update(webhook_deliveries).where(mine).values(next_at=now))
    connection.execute(update(webhooks).where(webhooks.c.id == row.id).values(**values))
    if enabled != row.enabled:
        event = "webhook_on" if enabled else "webhook_off"
        record_event(connection, event, now, webhook=name, by=by)
    close_notice(connection, f"webhook:{name}", now)
    return get_webhook(connection, name)


def remove_webhook(connection: Connection, name: str, *, by: str, now: datetime) -> None:
    """Take it away, with its deliveries."""
    row = row_of(connection, name)
    connection.execute(delete(webhook_deliveries).where(webhook_deliveries.c.webhook_id == row.id))
    connection.execute(delete(webhooks).where(webhooks.c.id == row.id))
    close_notice(connection, f"webhook:{name}", now)
    record_event(connection, "webhook_removed", now, webhook=name, by=by)


def ping_webhook(connection: Connection, name: str, *, by: str, now: datetime) -> Delivery:
    """A delivery that says nothing but that it arrives; tried even where the webhook is off."""
    row = row_of(connection, name)
    delivery_id = new_id()
    event = {"seq": None, "run_id": "", "step_id": None, "worker": "", "data": {"by": by}}
    connection.execute(
        insert(webhook_deliveries).values(**delivery_values(row.id, delivery_id, "webhook_test", event, now))
    )
    return get_delivery(connection, delivery_id)


def new_id() -> str:
    """No full stop in it: the signature's parts are told apart by them."""
    return f"msg_{secrets.token_hex(12)}"


def delivery_values(
    webhook_id: str, delivery_id: str, name: str, event: dict[str, Any], now: datetime
) -> dict[str, Any]:
    """A row that is due at once; its body is sent and signed as it stands there."""
    told = {field: event[field] for field in ("seq", "run_id", "step_id", "worker", "data")}
    at: datetime = event.get("at", now)
    body = {"type": name, "timestamp": at.isoformat(), "data": told}
    return {
        "id": delivery_id, "webhook_id": webhook_id, "event_seq": event["seq"], "event": name,
        "body": json.dumps(body, ensure_ascii=False, separators=(",", ":")), "state": DeliveryState.PENDING,
        "attempts": 0, "next_at": now, "status": 0, "error": "", "created_at": now,
    }  # fmt: skip


def list_deliveries(
    connection: Connection,
    *,
    webhook: str = "",
    state: DeliveryState | None = None,
    limit: int = 100,
    after: tuple[datetime, str] | None = None,
) -> list[Delivery]:
    """Newest first; ``after``: those behind the one of this time and id."""
    table = webhook_deliveries
    query = _deliveries().order_by(table.c.created_at.desc(), table.c.id).limit(limit)
    if webhook:
        query = query.where(webhooks.c.name == webhook)
    if state is not None:
        query = query.where(table.c.state == state)
    if after is not None:
        query = query.where(later_of((table.c.created_at, "desc"), (table.c.id, "asc"), after=after))
    return [Delivery.model_validate(row._asdict()) for row in connection.execute(query)]


def get_delivery(connection: Connection, delivery_id: str) -> Delivery:
    """``NotFound`` says how to list them."""
    row = connection.execute(_deliveries().where(webhook_deliveries.c.id == delivery_id)).first()
    if row is None:
        raise NotFound(f"there is no delivery {delivery_id[:60]!r}: 'd8 webhook deliveries' shows them")
    return Delivery.model_validate(row._asdict())


def redeliver(connection: Connection, delivery_id: str, *, now: datetime) -> Delivery:
    """Try it again from the beginning, whatever became of it. It keeps its id: a receiver that had it knows it."""
    get_delivery(connection, delivery_id)
    connection.execute(
        update(webhook_deliveries)
        .where(webhook_deliveries.c.id == delivery_id)
        .values(state=DeliveryState.PENDING, attempts=0, next_at=now, ended_at=None)
    )
    return get_delivery(connection, delivery_id)


def forget_deliveries(connection: Connection, *, now: datetime) -> int:
    """Drop those that have been over for long; returns how many."""
    return connection.execute(
        delete(webhook_deliveries).where(webhook_deliveries.c.ended_at < now - KEPT)
    ).rowcount


def _deliveries() -> Any:
    shown = [webhook_deliveries.c[name] for name in Delivery.model_fields if name != "webhook"]
    joined = webhook_deliveries.join(webhooks, webhooks.c.id == webhook_deliveries.c.webhook_id)
    return select(*shown, webhooks.c.name.label("webhook")).select_from(joined)


def _shown(connection: Connection, rows: Any) -> list[Webhook]:
    query = select(webhook_deliveries.c.webhook_id, func.count()).where(_PENDING)
    waiting = {row[0]: row[1] for row in connection.execute(query.group_by(webhook_deliveries.c.webhook_id))}
    wanted = [name for name in Webhook.model_fields if name != "waiting"]
    return [
        Webhook.model_validate(
            {**{name: getattr(row, name) for name in wanted}, "waiting": waiting.get(row.id, 0)}
        )
        for row in rows
    ]

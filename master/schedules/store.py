"""Schedules in the database: add, look, change, on and off, remove."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Row, delete, insert, select, update

from master.events import record_event
from master.flows.registry import get_flow
from master.schedules.duties import DUTIES
from master.schedules.executions import get_execution, latest_executions, start_execution
from master.schedules.moments import check_rule, next_due
from master.schedules.records import Change, Execution, NewSchedule, Schedule
from master.schedules.tables import schedules
from tasks.errors import InvalidInput, NotFound, Refused


def add_schedule(
    connection: Connection, wanted: NewSchedule, *, zone: str, by: str, now: datetime
) -> Schedule:
    """Put it on the list. ``zone``: the owner's, where it names none. ``InvalidInput``: its params are not those
    of the flow or duty; ``Refused``: the name is taken."""
    zone = wanted.zone or zone
    cron = check_rule(wanted.cron, zone, now)
    params = check_params(wanted.flow, wanted.duty, wanted.params)
    taken = select(schedules.c.id).where(schedules.c.name == wanted.name)
    if connection.execute(taken).first() is not None:
        raise Refused(
            f"there is a schedule called {wanted.name!r} already: choose another name, or take that one away with "
            f"'d8 schedule remove {wanted.name}'"
        )
    connection.execute(
        insert(schedules).values(
            **wanted.model_dump(exclude={"params", "cron", "zone"}),
            id=f"sch-{secrets.token_hex(6)}",
            params=params,
            cron=cron,
            zone=zone,
            next_at=next_due(cron, zone, now) if wanted.enabled else None,
            created_at=now,
            created_by=by,
        )
    )
    record_event(connection, "schedule_created", now, schedule=wanted.name, by=by)
    return get_schedule(connection, wanted.name)


def check_params(flow: str, duty: str, params: dict[str, Any]) -> dict[str, Any]:
    """As the flow or the duty takes them."""
    if bool(flow) == bool(duty):
        raise InvalidInput("a schedule starts either a flow or a duty: name one of them, not both or neither")
    if duty and duty not in DUTIES:
        raise NotFound(f"no duty is called {duty[:60]!r}: there is {', '.join(sorted(DUTIES))}")
    record = DUTIES[duty].params if duty else get_flow(flow).params
    try:
        return record.model_validate(params).model_dump(mode="json")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "params"
        raise InvalidInput(f"{flow or duty!r} does not accept {where}: {first['msg']}") from None


def row_of(connection: Connection, name: str) -> Row[Any]:
    row = connection.execute(select(schedules).where(schedules.c.name == name)).first()
    if row is None:
        raise NotFound(f"no schedule is called {name[:60]!r}: 'd8 schedule list' shows them")
    return row


def get_schedule(connection: Connection, name: str) -> Schedule:
    """``NotFound`` says how to list them."""
    return _shown(connection, [row_of(connection, name)])[0]


def list_schedules(connection: Connection) -> list[Schedule]:
    """All of them, by name."""
    return _shown(connection, connection.execute(select(schedules).order_by(schedules.c.name)).all())


def change_schedule(connection: Connection, name: str, change: Change, *, by: str, now: datetime) -> Schedule:
    """Change what is given; when it is due next is found anew."""
    row = row_of(connection, name)
    values = change.model_dump(exclude_none=True)
    cron, zone = values.get("cron", row.cron), values.get("zone", row.zone)
    values |= {"cron": check_rule(cron, zone, now), "zone": zone}
    if change.params is not None:
        values["params"] = check_params(row.flow, row.duty, change.params)
    if row.enabled:
        values["next_at"] = next_due(values["cron"], zone, now)
    connection.execute(update(schedules).where(schedules.c.id == row.id).values(**values))
    record_event(connection, "schedule_changed", now, schedule=name, by=by)
    return get_schedule(connection, name)


def enable_schedule(connection: Connection, name: str, *, enabled: bool, by: str, now: datetime) -> Schedule:
    """On or off. What was due while it was off is not owed."""
    row = row_of(connection, name)
    if row.enabled != enabled:
        next_at = next_due(row.cron, row.zone, now) if enabled else None
        connection.execute(
            update(schedules).where(schedules.c.id == row.id).values(enabled=enabled, next_at=next_at)
        )
        event = "schedule_on" if enabled else "schedule_off"
        record_event(connection, event, now, schedule=name, by=by)
    return get_schedule(connection, name)


def remove_schedule(connection: Connection, name: str, *, by: str, now: datetime) -> None:
    """Take it away; what it has started goes on, and its executions stay."""
    row = row_of(connection, name)
    connection.execute(delete(schedules).where(schedules.c.id == row.id))
    record_event(connection, "schedule_removed", now, schedule=name, by=by)


def _shown(connection: Connection, rows: Any) -> list[Schedule]:
    last = latest_executions(connection, [row.id for row in rows])
    found = []
    for row in rows:
        fields = row._asdict()
        latest = last.get(fields.pop("id"))
        found.append(Schedule.model_validate({**fields, "last": latest}))
    return found


def start_now(connection: Connection, name: str, *, by: str, now: datetime) -> Execution:
    """Start it by hand, whether or not it is on and whatever goes on; when it is due next stays as it is."""
    row = row_of(connection, name)
    execution_id = start_execution(connection, row, now, origin=by, now=now)
    if execution_id is None:
        raise Refused(f"schedule {name!r} was started this very moment already")
    return get_execution(connection, execution_id)

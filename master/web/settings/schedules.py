"""What is started by the clock: when each schedule is due, what became of the last times, on and off."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from master.api.services import Services
from master.flows.registry import list_flows
from master.schedules import executions, store
from master.schedules.duties import DUTIES
from master.schedules.records import NewSchedule
from master.tokens import Principal
from master.web.door import N_, Door, Reading, Section
from master.web.forms import read_form
from master.web.settings.verbs import Act, done, read_record, verb_route
from tasks.errors import InvalidInput

HERE = "/settings/schedules"
_EXECUTIONS = 30

#: What a button of a schedule does.
_ACTS: dict[str, Act] = {
    "on": lambda c, name, by, services: store.enable_schedule(
        c, name, enabled=True, by=by.identity, now=services.clock()
    ),
    "off": lambda c, name, by, services: store.enable_schedule(
        c, name, enabled=False, by=by.identity, now=services.clock()
    ),
    "run": lambda c, name, by, services: store.start_now(c, name, by=by.identity, now=services.clock()),
    "remove": lambda c, name, by, services: store.remove_schedule(
        c, name, by=by.identity, now=services.clock()
    ),
}


def routes(door: Door) -> list[BaseRoute]:
    async def create(services: Services, request: Request, caller: Principal) -> Response:
        wanted = read_schedule(await read_form(request))
        zone = services.policy().time_zone
        await services.write(
            lambda c: store.add_schedule(c, wanted, zone=zone, by=caller.identity, now=services.clock())
        )
        return done(HERE, "added")

    async def cancel(services: Services, request: Request, caller: Principal) -> Response:
        execution = request.path_params["execution"]
        await services.write(
            lambda c: executions.cancel_execution(c, execution, by=caller.name, now=services.clock())
        )
        return done(HERE, "cancelled")

    return [
        door.page(HERE, "settings_schedules.html", read_schedules),
        door.form(HERE, create),
        door.form(f"{HERE}/executions/{{execution}}/cancel", cancel),
        verb_route(door, HERE, "a schedule", _ACTS),
    ]


def read_schedule(form: dict[str, str]) -> NewSchedule:
    """As the form sends it; ``InvalidInput`` says which field is wrong."""
    what, _, name = form.get("starts", "").partition(":")
    try:
        params = json.loads(form.get("params", "").strip() or "{}")
    except ValueError as error:
        raise InvalidInput(f'the params are not JSON ({error}): write them such as {{"steps": 1}}') from None
    fields: dict[str, Any] = {
        field: form[field].strip() for field in ("name", "cron", "zone", "missed", "overlap") if field in form
    }
    return read_record(
        NewSchedule, {**fields, what if what in ("flow", "duty") else "flow": name, "params": params}
    )


def read_schedules(reading: Reading) -> dict[str, Any]:
    """All schedules, and the latest times that something was started."""
    return {
        "schedules": store.list_schedules(reading.connection),
        "executions": executions.list_executions(reading.connection, limit=_EXECUTIONS),
        "flows": [flow.name for flow in list_flows()],
        "duties": sorted(DUTIES),
        "zone": reading.policy.time_zone,
        "done": reading.query.get("done", ""),
    }


PAGE = Section(path=HERE, name=N_("Schedules"), routes=routes)

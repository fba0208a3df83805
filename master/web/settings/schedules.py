"""What is started by the clock: when each schedule is due, what became of the last times, on and off."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from master.api.services import Services
from master.flows.registry import list_flows
from master.schedules import executions, store
from master.schedules.duties import DUTIES
from master.schedules.records import NewSchedule
from master.tokens import Principal
from master.web.door import N_, Door, Reading, Section
from master.web.forms import read_form
from tasks.errors import InvalidInput, NotFound

HERE = "/settings/schedules"
_EXECUTIONS = 30

Act = Callable[[Connection, str, Principal, Services], object]

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
        return RedirectResponse(f"{HERE}?done=added", status_code=303)

    async def act(services: Services, request: Request, caller: Principal) -> Response:
        name, verb = request.path_params["name"], request.path_params["verb"]
        if verb not in _ACTS:
            raise NotFound(f"a schedule has no {verb[:40]!r}: use the page's buttons")
        await services.write(lambda c: _ACTS[verb](c, name, caller, services))
        return RedirectResponse(f"{HERE}?done={verb}", status_code=303)

    async def cancel(services: Services, request: Request, caller: Principal) -> Response:
        execution = request.path_params["execution"]
        await services.write(
            lambda c: executions.cancel_execution(c, execution, by=caller.name, now=services.clock())
        )
        return RedirectResponse(f"{HERE}?done=cancelled", status_code=303)

    return [
        door.page(HERE, "settings_schedules.html", read_schedules),
        door.form(HERE, create),
        door.form(f"{HERE}/executions/{{execution}}/cancel", cancel),
        door.form(f"{HERE}/{{name}}/{{verb}}", act),
    ]


def read_schedule(form: dict[str, str]) -> NewSchedule:
    """As the form sends it; ``InvalidInput`` says which field is wrong."""
    what, _, name = form.get("starts", "").partition(":")
    try:
        params = json.loads(form.get("params", "").strip() or "{}")
    except ValueError as error:
        raise InvalidInput(f'the params are not JSON ({error}): write them such as {{"steps": 1}}') from None
    fields = {
        field: form[field].strip() for field in ("name", "cron", "zone", "missed", "overlap") if field in form
    }
    try:
        return NewSchedule.model_validate(
            {**fields, what if what in ("flow", "duty") else "flow": name, "params": params}
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


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

"""Addresses that are told what happens: added here with their secret shown once, tested, switched, taken away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from master.api.services import Services
from master.tokens import Principal
from master.web.door import N_, Door, Reading, Section
from master.web.forms import read_form
from master.webhooks import store
from master.webhooks.records import NewWebhook
from master.webhooks.signing import SEALED_UNDER, Sealer, new_secret
from tasks.errors import InvalidInput, NotFound

HERE = "/settings/webhooks"
_TEMPLATE = "settings_webhooks.html"
_DELIVERIES = 30

Act = Callable[[Connection, str, Principal, Services], object]

#: What a button of a webhook does.
_ACTS: dict[str, Act] = {
    "on": lambda c, name, by, services: store.enable_webhook(
        c, name, enabled=True, by=by.identity, now=services.clock()
    ),
    "off": lambda c, name, by, services: store.enable_webhook(
        c, name, enabled=False, by=by.identity, now=services.clock()
    ),
    "test": lambda c, name, by, services: store.ping_webhook(c, name, by=by.identity, now=services.clock()),
    "remove": lambda c, name, by, services: store.remove_webhook(
        c, name, by=by.identity, now=services.clock()
    ),
}


def routes(door: Door) -> list[BaseRoute]:
    async def create(services: Services, request: Request, caller: Principal) -> Response:
        """The secret is in this answer and nowhere else."""
        wanted = read_webhook(await read_form(request))
        secret = new_secret()
        sealed = Sealer(services.settings.secrets_folder / SEALED_UNDER).seal(secret)
        await services.write(
            lambda c: store.add_webhook(c, wanted, sealed=sealed, by=caller.identity, now=services.clock())
        )
        made = {"name": wanted.name, "secret": secret}
        return await door.show(request, caller, _TEMPLATE, read_webhooks, more={"made": made})

    async def act(services: Services, request: Request, caller: Principal) -> Response:
        name, verb = request.path_params["name"], request.path_params["verb"]
        if verb not in _ACTS:
            raise NotFound(f"a webhook has no {verb[:40]!r}: use the page's buttons")
        await services.write(lambda c: _ACTS[verb](c, name, caller, services))
        return RedirectResponse(f"{HERE}?done={verb}", status_code=303)

    async def redeliver(services: Services, request: Request, _: Principal) -> Response:
        delivery = request.path_params["delivery"]
        await services.write(lambda c: store.redeliver(c, delivery, now=services.clock()))
        return RedirectResponse(f"{HERE}?done=redelivered", status_code=303)

    return [
        door.page(HERE, _TEMPLATE, read_webhooks),
        door.form(HERE, create),
        door.form(f"{HERE}/deliveries/{{delivery}}/redeliver", redeliver),
        door.form(f"{HERE}/{{name}}/{{verb}}", act),
    ]


def read_webhook(form: dict[str, str]) -> NewWebhook:
    """As the form sends it; ``InvalidInput`` says which field is wrong."""
    try:
        return NewWebhook(
            name=form.get("name", "").strip(),
            url=form.get("url", "").strip(),
            events=tuple(form.get("events", "").replace(",", " ").split()),
            allow_local=form.get("allow_local") == "yes",
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def read_webhooks(reading: Reading) -> dict[str, Any]:
    """All webhooks, and the latest deliveries."""
    return {
        "webhooks": store.list_webhooks(reading.connection),
        "deliveries": store.list_deliveries(reading.connection, limit=_DELIVERIES),
        "made": None,
        "done": reading.query.get("done", ""),
    }


PAGE = Section(path=HERE, name=N_("Webhooks"), routes=routes)

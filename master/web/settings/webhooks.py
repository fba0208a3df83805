"""Addresses that are told what happens: added here with their secret shown once, tested, switched, taken away."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from master.api.services import Services
from master.tokens import Principal
from master.web.door import N_, Door, Reading, Section
from master.web.forms import read_form
from master.web.settings.verbs import Act, done, read_record, verb_route
from master.webhooks import store
from master.webhooks.records import NewWebhook
from master.webhooks.signing import SEALED_UNDER, Sealer, new_secret

HERE = "/settings/webhooks"
_TEMPLATE = "settings_webhooks.html"
_DELIVERIES = 30

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

    async def redeliver(services: Services, request: Request, _: Principal) -> Response:
        delivery = request.path_params["delivery"]
        await services.write(lambda c: store.redeliver(c, delivery, now=services.clock()))
        return done(HERE, "redelivered")

    return [
        door.page(HERE, _TEMPLATE, read_webhooks),
        door.form(HERE, create),
        door.form(f"{HERE}/deliveries/{{delivery}}/redeliver", redeliver),
        verb_route(door, HERE, "a webhook", _ACTS),
    ]


def read_webhook(form: dict[str, str]) -> NewWebhook:
    """As the form sends it; ``InvalidInput`` says which field is wrong."""
    fields = {
        "name": form.get("name", "").strip(),
        "url": form.get("url", "").strip(),
        "events": tuple(form.get("events", "").replace(",", " ").split()),
        "allow_local": form.get("allow_local") == "yes",
    }
    return read_record(NewWebhook, fields)


def read_webhooks(reading: Reading) -> dict[str, Any]:
    """All webhooks, and the latest deliveries."""
    return {
        "webhooks": store.list_webhooks(reading.connection),
        "deliveries": store.list_deliveries(reading.connection, limit=_DELIVERIES),
        "made": None,
        "done": reading.query.get("done", ""),
    }


PAGE = Section(path=HERE, name=N_("Webhooks"), routes=routes)

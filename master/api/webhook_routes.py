"""Webhooks and their deliveries over HTTP."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy import Connection

from master.api.auth import Gatekeeper
from master.api.once import Once, once_of
from master.api.paging import Page, Paging
from master.api.schedule_routes import OnOff
from master.api.services import Services
from master.tokens import Principal, Scope
from master.webhooks import store
from master.webhooks.records import CreatedWebhook, Delivery, DeliveryState, NewWebhook, Webhook
from master.webhooks.signing import SEALED_UNDER, Sealer, new_secret

_Name = Annotated[str, Path(max_length=100)]


def webhook_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """``/api/webhooks`` and ``/api/deliveries``."""
    router = APIRouter(prefix="/api", tags=["webhooks"])
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)
    OneWrite = Annotated[Once, Depends(once_of(services))]  # noqa: N806
    clock = services.clock
    sealer = Sealer(services.settings.secrets_folder / SEALED_UNDER)

    @router.get("/webhooks", summary="List webhooks")
    async def get_webhooks(_: Owner, wanted: Paging) -> Page[Webhook]:
        return wanted.cut("webhooks", await services.read(store.list_webhooks), lambda each: (each.name,))

    @router.post(
        "/webhooks", status_code=201, summary="Tell an address what happens; its secret is shown this once"
    )
    async def post_webhook(caller: Owner, body: NewWebhook, once: OneWrite) -> CreatedWebhook:
        secret = new_secret()

        def add(connection: Connection) -> CreatedWebhook:
            by = caller.identity
            made = store.add_webhook(connection, body, sealed=sealer.seal(secret), by=by, now=clock())
            return CreatedWebhook(**made.model_dump(), secret=secret)

        return CreatedWebhook.model_validate(await once(add))

    @router.get("/webhooks/{name}", summary="Show a webhook")
    async def get_webhook(_: Owner, name: _Name) -> Webhook:
        return await services.read(lambda c: store.get_webhook(c, name))

    @router.put("/webhooks/{name}/enabled", summary="Switch a webhook on or off")
    async def put_webhook_enabled(caller: Owner, name: _Name, body: OnOff) -> Webhook:
        by = caller.identity
        return await services.write(
            lambda c: store.enable_webhook(c, name, enabled=body.enabled, by=by, now=clock())
        )

    @router.delete("/webhooks/{name}", status_code=204, summary="Take a webhook away, with its deliveries")
    async def delete_webhook(caller: Owner, name: _Name) -> None:
        by = caller.identity
        await services.write(lambda c: store.remove_webhook(c, name, by=by, now=clock()))

    @router.post("/webhooks/{name}/test", status_code=201, summary="Send a delivery that says nothing else")
    async def post_webhook_test(caller: Owner, name: _Name, once: OneWrite) -> Delivery:
        by = caller.identity
        return Delivery.model_validate(await once(lambda c: store.ping_webhook(c, name, by=by, now=clock())))

    _add_deliveries(router, services, Owner, OneWrite)
    return router


def _add_deliveries(router: APIRouter, services: Services, owner: Any, one_write: Any) -> None:
    @router.get("/deliveries", summary="List deliveries, newest first")
    async def get_deliveries(
        _: owner,
        wanted: Paging,
        webhook: Annotated[str, Query(max_length=100)] = "",
        state: DeliveryState | None = None,
    ) -> Page[Delivery]:
        after = wanted.after("deliveries", datetime, str)
        found = await services.read(
            lambda c: store.list_deliveries(
                c, webhook=webhook, state=state, limit=wanted.limit + 1, after=after
            )
        )
        return wanted.page("deliveries", found, lambda each: (each.created_at, each.id))

    @router.get("/deliveries/{delivery_id}", summary="Show what became of a delivery")
    async def get_delivery(_: owner, delivery_id: _Name) -> Delivery:
        return await services.read(lambda c: store.get_delivery(c, delivery_id))

    @router.post("/deliveries/{delivery_id}/redeliver", summary="Try a delivery again from the beginning")
    async def post_redeliver(_: owner, delivery_id: _Name, once: one_write) -> Delivery:
        return Delivery.model_validate(
            await once(lambda c: store.redeliver(c, delivery_id, now=services.clock()))
        )

"""The clients' door: add, list, show."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import APIRouter, Depends
from pydantic import Field
from sqlalchemy import Connection

from master.api.paging import Page, Paging
from master.clients.brief import parse_brief
from master.clients.store import Client, add_client, get_brief, get_client, list_clients
from master.clients.watch import take_pending
from master.clients.yaml_tree import MAX_BYTES
from master.clock import Clock, utc_now
from master.flows.runs import start_run
from tasks.client_brief import Brief
from tasks.record import Record

T = TypeVar("T")


class Ask(Protocol):
    """Runs a function of a connection: a consistent read, or a write that is durable on return."""

    def __call__(self, function: Callable[[Connection], T]) -> Awaitable[T]: ...


class AddClient(Record):
    brief_yaml: str = Field(max_length=MAX_BYTES)
    #: The file's name, for people and messages.
    source: str = Field(default="brief.yaml", max_length=200)
    #: Deliver the same brief once more.
    again: bool = Field(default=False, strict=True)


class AddedClient(Client):
    #: False: this brief was there already, and was not to be delivered again.
    new: bool


class ShownClient(Client):
    brief: Brief


def post_client(connection: Connection, body: AddClient, clock: Clock) -> AddedClient:
    """Add a client as ``pending`` and let the watcher take it at once, all in one transaction."""
    brief = parse_brief(body.brief_yaml.encode("utf-8", errors="replace"), body.source)
    now = clock()
    added = add_client(connection, brief, now, source=body.source, again=body.again)
    take_pending(connection, partial(start_run, now=now), now=now)
    return AddedClient(**get_client(connection, added.client.id).model_dump(), new=added.new)


def show_client(connection: Connection, client_id: str) -> ShownClient:
    """One client with its brief."""
    client = get_client(connection, client_id)
    return ShownClient(**client.model_dump(), brief=get_brief(connection, client.id))


def build_router(
    read: Ask, owner: Callable[..., Any], once: Callable[..., Any], clock: Clock = utc_now
) -> APIRouter:
    """``/api/clients``. ``owner`` is the dependency that checks the owner's token, ``once`` the one that gives a
    call its write."""
    router = APIRouter(prefix="/api/clients", dependencies=[Depends(owner)], tags=["clients"])

    @router.get("", summary="List clients, newest first")
    async def get_clients(wanted: Paging) -> Page[Client]:
        after = wanted.after("clients", datetime, str)
        found = await read(lambda connection: list_clients(connection, wanted.limit + 1, after=after))
        return wanted.page("clients", found, lambda client: (client.created_at, client.id))

    @router.get("/{client_id}", summary="Show a client with its brief")
    async def get_one_client(client_id: str) -> ShownClient:
        return await read(lambda connection: show_client(connection, client_id))

    @router.post("", status_code=201, summary="Add a client project from its brief")
    async def add_one_client(body: AddClient, write: Annotated[Any, Depends(once)]) -> AddedClient:
        return AddedClient.model_validate(
            await write(lambda connection: post_client(connection, body, clock))
        )

    return router

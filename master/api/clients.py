"""The clients' door: add, list, show."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from sqlalchemy import Connection

from master.clients.brief import parse_brief
from master.clients.store import add_client, get_brief, get_client, list_clients
from master.clients.watch import take_pending
from master.clients.yaml_tree import MAX_BYTES
from master.clock import Clock, utc_now
from master.flows.runs import start_run
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
    again: bool = False


def post_client(connection: Connection, body: AddClient, clock: Clock) -> dict[str, Any]:
    """Add a client as ``pending`` and let the watcher take it at once, all in one transaction."""
    brief = parse_brief(body.brief_yaml.encode("utf-8", errors="replace"), body.source)
    now = clock()
    added = add_client(connection, brief, now, source=body.source, again=body.again)
    take_pending(connection, partial(start_run, now=now), now=now)
    return {**get_client(connection, added.client.id).model_dump(mode="json"), "new": added.new}


def show_clients(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """The newest first."""
    return [client.model_dump(mode="json") for client in list_clients(connection, limit)]


def show_client(connection: Connection, client_id: str) -> dict[str, Any]:
    """One client with its brief."""
    client = get_client(connection, client_id)
    return {
        **client.model_dump(mode="json"),
        "brief": get_brief(connection, client.id).model_dump(mode="json"),
    }


def build_router(read: Ask, write: Ask, owner: Callable[..., Any], clock: Clock = utc_now) -> APIRouter:
    """``/api/clients``. ``owner`` is the dependency that checks the owner's token."""
    router = APIRouter(prefix="/api/clients", dependencies=[Depends(owner)])

    @router.get("")
    async def get_many(limit: Annotated[int, Query(ge=1, le=500)] = 100) -> list[dict[str, Any]]:
        return await read(lambda connection: show_clients(connection, limit))

    @router.get("/{client_id}")
    async def get_one(client_id: str) -> dict[str, Any]:
        return await read(lambda connection: show_client(connection, client_id))

    @router.post("", status_code=201)
    async def post(body: AddClient) -> dict[str, Any]:
        return await write(lambda connection: post_client(connection, body, clock))

    return router

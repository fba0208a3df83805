"""``client.build``: the developer renders the static site and packs it into one zip artifact."""

from __future__ import annotations

from pydantic import Field

from tasks.client_brief import Brief
from tasks.client_look import Action, Artwork, Look, Section
from tasks.record import Record
from tasks.spec import TaskSpec


class Request(Record):
    brief: Brief
    look: Look
    artwork: Artwork
    #: The home page's sections in order.
    sections: tuple[Section, ...] = Field(min_length=1, max_length=3)
    #: Where the main button leads.
    action: Action
    #: The text of every slot, by ``SlotName``.
    texts: dict[str, str]


class BuiltFile(Record):
    path: str
    bytes: int


class Result(Record):
    #: The zip artifact; its bytes depend on nothing but the request.
    site_sha256: str
    files: tuple[BuiltFile, ...]


TASK = TaskSpec(name="client.build", request=Request, result=Result, deadline_s=120)

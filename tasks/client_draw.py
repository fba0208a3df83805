"""``client.draw``: the designer draws the logo, the hero picture and the favicon as SVG."""

from __future__ import annotations

from pydantic import Field

from tasks.client_look import Artwork, Look
from tasks.record import Record
from tasks.spec import TaskSpec


class Request(Record):
    #: The business name; its initials go into the logo.
    name: str = Field(min_length=1, max_length=80)
    look: Look
    #: The same seed gives the same drawing.
    seed: int = Field(ge=0)


class Result(Record):
    artwork: Artwork


TASK = TaskSpec(name="client.draw", request=Request, result=Result, deadline_s=60)

"""``client.write``: fills the site's texts: chooses a phrasing, or writes one that passes the fact check."""

from __future__ import annotations

import enum
from typing import Literal

from pydantic import Field

from tasks.client_brief import Brief
from tasks.record import Record
from tasks.spec import TaskSpec


class SlotName(enum.StrEnum):
    """The places on the site whose words are chosen; everything else comes straight from the brief."""

    HEADLINE = "hero.headline"
    LEAD = "hero.lead"
    ACTION = "hero.action"
    SERVICES_HEADING = "services.heading"
    SERVICES_INTRO = "services.intro"
    ABOUT_HEADING = "about.heading"
    ABOUT_INTRO = "about.intro"
    CONTACT_HEADING = "contact.heading"
    CONTACT_INTRO = "contact.intro"
    CLOSING_HEADING = "closing.heading"
    CLOSING_TEXT = "closing.text"
    FAQ_HEADING = "faq.heading"


class Slot(Record):
    name: str = Field(min_length=1, max_length=60)
    #: Phrasings that state nothing beyond the brief.
    candidates: tuple[str, ...] = Field(min_length=1, max_length=12)
    #: What to ask the model for; "" when it may only choose.
    ask: str = Field(default="", max_length=300)
    max_chars: int = Field(default=200, ge=10, le=2000)


class Request(Record):
    role: str
    brief: Brief
    slots: tuple[Slot, ...] = Field(min_length=1, max_length=40)
    #: What the owner asked for when they rejected the last draft; "" at first.
    note: str = Field(default="", max_length=1000)
    #: So many texts are generated for each slot that has an ask; 0 keeps to the candidates.
    samples: int = Field(default=0, ge=0, le=8)
    seed: int = Field(default=0, ge=0)
    #: Model reference; "" means the worker's default.
    model: str = ""


class Written(Record):
    name: str
    text: str
    #: "template": one of the candidates; "model": generated, and past the fact check.
    source: Literal["template", "model"]
    #: Why each generated text that failed was refused.
    refused: tuple[str, ...] = ()


class Result(Record):
    texts: tuple[Written, ...]


TASK = TaskSpec(name="client.write", request=Request, result=Result, lanes=("gpu", "cpu"), deadline_s=300)

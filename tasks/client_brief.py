"""What a client told us about their business: the only source of facts for their project."""

from __future__ import annotations

import enum
from typing import Annotated

from pydantic import Field, StringConstraints

from tasks.record import Record

MAX_SERVICES = 24
MAX_QUESTIONS = 12
MAX_HOURS = 14


class Language(enum.StrEnum):
    SPANISH = "es"
    ENGLISH = "en"


class Tone(enum.StrEnum):
    WARM = "warm"
    PROFESSIONAL = "professional"
    PLAYFUL = "playful"
    ELEGANT = "elegant"


class Page(enum.StrEnum):
    HOME = "home"
    SERVICES = "services"
    ABOUT = "about"
    CONTACT = "contact"
    FAQ = "faq"


class Day(enum.StrEnum):
    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


WEEK = tuple(Day)

Line = Annotated[str, StringConstraints(max_length=160)]
HexColor = Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]
ClockTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Service(Record):
    name: str = Field(min_length=1, max_length=80)
    description: str = Field(default="", max_length=400)
    #: In minor units of the brief's currency; None when the client gave no price.
    price_minor: int | None = Field(default=None, ge=0, le=100_000_000)
    #: What the price is for: "per person", "la pieza".
    price_note: str = Field(default="", max_length=40)


class Contact(Record):
    email: str = Field(default="", max_length=120)
    phone: str = Field(default="", max_length=30)
    address: Line = ""


class Hours(Record):
    """Open on these days between these local times. A day with a break has two entries."""

    days: tuple[Day, ...] = Field(min_length=1, max_length=7)
    opens: ClockTime
    closes: ClockTime


class Question(Record):
    question: str = Field(min_length=1, max_length=160)
    answer: str = Field(min_length=1, max_length=600)


class Brief(Record):
    """One client's brief, checked. Texts are plain text: markup in them is shown, never obeyed.

    Optional texts that the client did not give are empty.
    """

    name: str = Field(min_length=1, max_length=80)
    #: What the business is, as a short noun phrase: "panadería artesanal".
    sector: str = Field(min_length=2, max_length=60)
    city: str = Field(min_length=1, max_length=60)
    language: Language
    description: str = Field(min_length=20, max_length=2000)
    services: tuple[Service, ...] = Field(min_length=1, max_length=MAX_SERVICES)
    slogan: str = Field(default="", max_length=90)
    audience: str = Field(default="", max_length=200)
    tone: Tone = Tone.WARM
    #: ISO 4217; every price is in it.
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")
    contact: Contact = Contact()
    hours: tuple[Hours, ...] = Field(default=(), max_length=MAX_HOURS)
    questions: tuple[Question, ...] = Field(default=(), max_length=MAX_QUESTIONS)
    #: Brand colors, the main one first; empty lets the designer choose.
    colors: tuple[HexColor, ...] = Field(default=(), max_length=3)
    pages: tuple[Page, ...] = (Page.HOME, Page.SERVICES, Page.ABOUT, Page.CONTACT)
    #: Where the site will live, "www.example.com"; empty when not known yet.
    domain: str = Field(default="", max_length=120)

"""What the designer and the architect decide, as the builder receives it."""

from __future__ import annotations

import enum

from pydantic import Field

from tasks.client_brief import HexColor
from tasks.record import Record


class Typeface(enum.StrEnum):
    CLASSIC = "classic"
    CLEAN = "clean"
    ROUNDED = "rounded"


class Shape(enum.StrEnum):
    SOFT = "soft"
    CRISP = "crisp"


class Motif(enum.StrEnum):
    """The kind of drawing in the hero."""

    GRAIN = "grain"
    ARCHES = "arches"
    WAVES = "waves"
    LEAVES = "leaves"
    TILES = "tiles"
    ORBITS = "orbits"


class Section(enum.StrEnum):
    """A part of the home page below its hero."""

    SERVICES = "services"
    ABOUT = "about"
    VISIT = "visit"


class Action(enum.StrEnum):
    """What a visitor is invited to do."""

    CALL = "call"
    WRITE = "write"
    VISIT = "visit"
    SERVICES = "services"


class Look(Record):
    """From these few values the builder derives every color, with its contrast assured."""

    palette: str = Field(max_length=40)
    accent: HexColor
    #: Tints backgrounds and texts.
    neutral: HexColor
    typeface: Typeface
    shape: Shape
    motif: Motif


class Artwork(Record):
    """Digests of the drawings (SVG artifacts)."""

    logo_sha256: str
    hero_sha256: str
    favicon_sha256: str

"""What changes when a draft is sent back, by the reviewer or by the owner."""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Sequence

from pydantic import Field

from tasks.client_review import Check, CheckName
from tasks.record import Record


class Area(enum.StrEnum):
    PLAN = "plan"
    LOOK = "look"
    WORDS = "words"


class Direction(Record):
    """How one area of the site is to be made this time."""

    #: Counts the times that this area was made: part of its steps' keys.
    version: int = 1
    #: The owner's words, for the prompts.
    note: str = ""
    #: Decision or slot -> what was chosen before and is not wanted again.
    avoid: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    #: Whether the model may write texts of its own.
    generate: bool = True

    def again(self, chosen: dict[str, str], note: str) -> Direction:
        """Make it anew, differently."""
        avoid = {name: (*self.avoid.get(name, ()), label) for name, label in chosen.items()}
        return self.model_copy(
            update={
                "version": self.version + 1,
                "note": note[:1000],
                "avoid": {**self.avoid, **avoid},
            }
        )


#: Beginnings of words (no accents) in an owner's reason, and the area that they are about.
_HINTS = {
    Area.LOOK: (
        "color colour palet diseno design fuente font letra tipograf imagen image foto photo "
        "picture dibujo drawing logo aspecto look oscur claro dark light bright estilo style feo "
        "ugly visual"
    ),
    Area.WORDS: (
        "texto text copy palabra word redac wording frase sentence tono tone titulo title titular "
        "headline escrit written lenguaje language mensaje message eslogan slogan suena sound"
    ),
    Area.PLAN: (
        "orden order estructura structure seccion section primero first arriba top abajo bottom "
        "boton button menu portada antes before"
    ),
}


def areas_of(reason: str) -> frozenset[Area]:
    """The areas that an owner's reason speaks of; look and words when it names none."""
    plain = unicodedata.normalize("NFKD", reason.lower()).encode("ascii", "ignore").decode("ascii")
    words = re.findall(r"[a-z]+", plain)
    named = {
        area for area, stems in _HINTS.items() if any(word.startswith(tuple(stems.split())) for word in words)
    }
    return frozenset(named or {Area.LOOK, Area.WORDS})


#: What is made again when one of these checks fails; for any other the pages are only built again.
_CAUSES = {
    CheckName.CONTRAST: Area.LOOK,
    CheckName.NUMBERS: Area.WORDS,
    CheckName.CONTACTS: Area.WORDS,
    CheckName.NAMES: Area.WORDS,
    CheckName.SUPERLATIVES: Area.WORDS,
    CheckName.TITLES: Area.WORDS,
    CheckName.DESCRIPTIONS: Area.WORDS,
    CheckName.PLACEHOLDERS: Area.WORDS,
}


def areas_of_checks(failed: Sequence[Check]) -> frozenset[Area]:
    """The areas that failed checks send back."""
    return frozenset(_CAUSES[check.name] for check in failed if check.name in _CAUSES)

"""Characters that a text file should not contain: they hide, reorder or control."""

from __future__ import annotations

import dataclasses
import unicodedata

_ALLOWED_CONTROLS = frozenset("\n\r\t")
#: Joiners that real words and emoji need.
_ALLOWED_FORMATS = frozenset("\u00ad\u200c\u200d")


@dataclasses.dataclass(frozen=True)
class Hostile:
    line: int
    what: str


def find_hostile_character(text: str) -> Hostile | None:
    """The first control, bidirectional, invisible or unassigned character, with its line."""
    for index, character in enumerate(text):
        kind = unicodedata.category(character)
        harmless = (
            (kind[0] not in "C" and kind not in ("Zl", "Zp"))
            or character in _ALLOWED_CONTROLS
            or character in _ALLOWED_FORMATS
        )
        if not harmless:
            name = unicodedata.name(character, "a control character")
            return Hostile(
                line=text.count("\n", 0, index) + 1,
                what=f"the invisible character U+{ord(character):04X} ({name.lower()}) is not allowed",
            )
    return None

"""Which month somebody means by ``/gastos noviembre``. Pure."""

from __future__ import annotations

import re

_NAMES = (
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split(),
    "january february march april may june july august september october november december".split(),
)


def find_month(text: str, current: str) -> str | None:
    """``""``, ``"2026-11"``, ``"11"``, ``"11/2026"``, ``"nov"`` -> ``"2026-11"``; None for anything else.

    ``current`` is this month. A month without its year is the newest one that has begun.
    """
    given = text.strip().lower()
    if not given:
        return current
    if found := re.fullmatch(r"(\d{4})[-/.](\d{1,2})", given):
        return _month(int(found[1]), int(found[2]))
    if found := re.fullmatch(r"(\d{1,2})[-/.](\d{4})", given):
        return _month(int(found[2]), int(found[1]))
    number = int(given) if re.fullmatch(r"\d{1,2}", given, re.ASCII) else _named(given)
    year, this = (int(part) for part in current.split("-"))
    return None if number is None else _month(year if number <= this else year - 1, number)


def _named(word: str) -> int | None:
    if len(word) < 3:
        return None
    for names in _NAMES:
        for number, name in enumerate(names, start=1):
            if name.startswith(word) or (word == "setiembre" and number == 9):
                return number
    return None


def _month(year: int, number: int) -> str | None:
    return f"{year:04d}-{number:02d}" if 1 <= number <= 12 and year >= 1 else None

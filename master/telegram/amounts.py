"""What somebody typed after ``/hecho ID``: a cost, perhaps its currency, perhaps a reference. Pure."""

from __future__ import annotations

import re

from master.ledger.money import Money, parse_money, places_of
from tasks.errors import InvalidInput
from tasks.record import Record

#: Currencies that are taken for one, and not for the beginning of a reference.
_CURRENCIES = frozenset(
    "ARS AUD BOB BRL CAD CHF CLF CLP CNY COP CZK DKK EUR GBP HUF INR JPY KRW KWD MXN NOK NZD PEN PLN PYG RON "
    "SEK TRY USD UYU".split()
)
_SIGNS = str.maketrans("", "", "$€£¥")
_DIGITS = re.compile(r"[0-9][0-9.,']*")


class Doing(Record):
    """How a request was done."""

    #: None: exactly what was approved.
    actual: Money | None
    reference: str


def read_doing(text: str, *, cost_minor: int, currency: str) -> Doing:
    """``"12,50 F-2026-11"`` for a request in EUR -> 12.50 EUR, ``F-2026-11``.

    The request's own currency is meant where none is written. A request that costs nothing needs no
    cost. ``InvalidInput`` when there is no amount, or one that can be read in two ways.
    """
    first, _, rest = text.strip().partition(" ")
    number, glued = _split_currency(first)
    if number is None:
        if cost_minor == 0:
            return Doing(actual=None, reference=text.strip())
        raise InvalidInput(
            f"what did it cost? {first[:40]!r} is no amount: write it after the id, such as 12.50"
        )
    second, _, after = rest.strip().partition(" ")
    if not glued and second.upper() in {*_CURRENCIES, currency}:
        return Doing(actual=read_amount(number, second.upper()), reference=after.strip())
    return Doing(actual=read_amount(number, glued or currency), reference=rest.strip())


def read_amount(number: str, currency: str) -> Money:
    """``"1.234,50"``, ``"1,234.50"``, ``"12,5"``, and for a currency without decimals ``"9.990"``.

    ``InvalidInput`` for ``"1.234 EUR"``, which is a thousand to some and one to others.
    """
    places = places_of(currency)
    plain = number.replace("'", "")
    marks = [mark for mark in ".," if mark in plain]
    decimal = ""
    if len(marks) == 2:
        decimal = max(marks, key=plain.rindex)
    elif marks and plain.count(marks[0]) == 1:
        behind = len(plain) - plain.index(marks[0]) - 1
        if behind == 3 and places not in (0, 3):
            raise InvalidInput(
                f"{number} {currency} can be read in two ways: write {plain.replace(marks[0], '')} or "
                f"{plain.replace(marks[0], '.')[:-1]}"
            )
        decimal = "" if behind == 3 and places == 0 else marks[0]
    whole, _, fraction = plain.rpartition(decimal) if decimal else (plain, "", "")
    for mark in marks:
        if mark in whole and not re.fullmatch(rf"\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+", whole):
            raise InvalidInput(f"{number[:40]!r} is not an amount: write it such as 12.50")
    digits = re.sub(r"[.,]", "", whole)
    return parse_money(f"{digits}.{fraction} {currency}" if fraction else f"{digits} {currency}")


def _split_currency(word: str) -> tuple[str | None, str]:
    """``"12,50EUR"`` -> number and currency; None when the word is no amount."""
    bare = word.translate(_SIGNS)
    found = re.fullmatch(r"([0-9.,']+)([A-Za-z]{3})?", bare)
    if found is None or not _DIGITS.fullmatch(found[1]) or not found[1][-1].isdigit():
        return None, ""
    given = (found[2] or "").upper()
    if "€" in word:
        given = given or "EUR"
    return found[1], given

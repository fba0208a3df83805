"""Money: integer minor units with a currency. For people it is written ``12.50 EUR``."""

from __future__ import annotations

import re
from fractions import Fraction

from pydantic import Field

from tasks.errors import InvalidInput
from tasks.record import Record

#: ISO 4217 currencies whose minor unit is not a hundredth of the major one.
_NO_MINOR = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split())
_THOUSANDTH = frozenset("BHD IQD JOD KWD LYD OMR TND".split())
_TEN_THOUSANDTH = frozenset("CLF UYW".split())

#: Far beyond what anybody owns, and far below what a database's integer holds: sums stay exact.
MOST_MINOR = 10**15

_NUMBER = r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d+))?"
_WRITTEN = re.compile(rf"({_NUMBER})\s*([A-Z]{{3}})")


class Money(Record):
    """An amount; negative for what is taken away."""

    minor: int = Field(ge=-MOST_MINOR, le=MOST_MINOR)
    #: ISO 4217.
    currency: str = Field(pattern=r"^[A-Z]{3}$")

    def __str__(self) -> str:
        return format_money(self.minor, self.currency)


def places_of(currency: str) -> int:
    """Decimal places of the currency's minor unit (ISO 4217): 2 for EUR, 0 for CLP, 3 for KWD."""
    if currency in _NO_MINOR:
        return 0
    if currency in _THOUSANDTH:
        return 3
    return 4 if currency in _TEN_THOUSANDTH else 2


def format_money(minor: int, currency: str) -> str:
    """``1250, "EUR"`` -> ``12.50 EUR``. Places after ISO 4217."""
    return f"{format_number(minor, currency, grouped=True)} {currency}"


def format_number(minor: int, currency: str, *, grouped: bool = False) -> str:
    """``125000, "EUR"`` -> ``1250.00``, or ``1,250.00`` when grouped."""
    places = places_of(currency)
    sign, digits = "-" if minor < 0 else "", str(abs(minor)).rjust(places + 1, "0")
    whole = digits[:-places] if places else digits
    shown = f"{int(whole):,}" if grouped else whole
    return f"{sign}{shown}.{digits[-places:]}" if places else f"{sign}{shown}"


def parse_money(text: str) -> Money:
    """``"12.50 EUR"`` -> 1250 minor units of EUR. ``InvalidInput`` shows how the amount is written."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        raise InvalidInput(
            f"{text[:60]!r} is not an amount of money: write the number with a point and the currency's three "
            f'letters, such as "12.50 EUR" or "1500 CLP"'
        )
    number, fraction, currency = found[1], found[2] or "", found[3]
    places = places_of(currency)
    if len(fraction) > places:
        raise InvalidInput(
            f"{text.strip()!r} has {len(fraction)} decimal places, and {currency} has {places}: "
            f"write it as {_example(number, currency)}"
        )
    whole = number.replace(",", "").partition(".")[0]
    minor = int(whole.lstrip("-") + fraction.ljust(places, "0"))
    if minor > MOST_MINOR:
        raise InvalidInput(
            f"{text[:60]!r} is more than this ledger holds ({format_money(MOST_MINOR, currency)})"
        )
    return Money(minor=-minor if number.startswith("-") else minor, currency=currency)


def round_half_up(exact: Fraction) -> int:
    """The nearest integer; a half goes away from zero, as on an invoice."""
    sign = -1 if exact < 0 else 1
    return sign * int(abs(exact) + Fraction(1, 2))


def micros_to_minor(micros: int, currency: str) -> int:
    """Millionths of the major unit -> minor units, rounded half up."""
    return round_half_up(Fraction(micros * 10 ** places_of(currency), 1_000_000))


def _example(number: str, currency: str) -> str:
    exact = Fraction(number.replace(",", "")) * 10 ** places_of(currency)
    return repr(format_money(round_half_up(exact), currency).replace(",", ""))

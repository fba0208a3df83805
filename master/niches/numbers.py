"""Numbers as keyword exports write them, in any of the usual locales.

``1,000`` and ``1.000`` are both a thousand, ``0,45`` and ``0.45`` both a fraction: a separator that
occurs once counts as a decimal mark unless exactly three digits follow it and the number does not
start with a lone zero.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal

#: No count or amount above this is believed; the world has fewer searches a month.
MOST = 10**11

#: How exports write "not known".
_UNKNOWN = frozenset(
    {
        "",
        "-",
        "--",
        "---",
        "–",
        "—",
        "n/a",
        "na",
        "n/d",
        "none",
        "null",
        "unknown",
        "desconocido",
        "desconocida",
    }
)

_SPACES = re.compile(r"[\s\u00a0\u2007\u2009\u202f]+")
_DASHES = r"[-\u2010-\u2015\u2212]"
_RANGE = re.compile(rf"^(?P<low>.*?[\dkKmM\.a-z])\s*(?:{_DASHES}|\bto\b|\ba\b|\bbis\b)\s*(?P<high>\d.*)$")
_NUMBER = re.compile(r"^(?P<digits>\d[\d.,' ]*)\s*(?P<suffix>[a-z]*\.?)$")
_GROUPED = re.compile(r"^\d{1,3}(?:[.,' ]\d{3})+$")
_MULTIPLIERS = {
    "": 1,
    "k": 1_000,
    "mil": 1_000,
    "tsd": 1_000,
    "thousand": 1_000,
    "m": 1_000_000,
    "mm": 1_000_000,
    "mio": 1_000_000,
    "mill": 1_000_000,
    "mln": 1_000_000,
    "millon": 1_000_000,
    "million": 1_000_000,
    "millones": 1_000_000,
}

#: Currencies without minor units, or with three digits of them (ISO 4217); all others have two.
_EXPONENTS = {"CLP": 0, "JPY": 0, "KRW": 0, "PYG": 0, "VND": 0, "ISK": 0, "KWD": 3, "BHD": 3, "TND": 3}

#: A currency's sign or code before an amount, or after it. ``mil`` after it is a thousand.
_CURRENCY = re.compile(r"^[a-z]{0,3}\s*[$€£¥₡₲₱]?\s*(?=\d)|\s*(?:[$€£¥₡₲₱]|(?!mil|mio|mln|tsd)[a-z]{3})$")


class NotANumber(ValueError):
    """The text is not a number of the kind asked for; its message is the text."""


def _clean(text: str) -> str:
    return _SPACES.sub(" ", text).strip().casefold().replace("ó", "o")


def is_unknown(text: str) -> bool:
    """Whether the cell says that the value is not known."""
    return _clean(text) in _UNKNOWN


def parse_decimal(text: str) -> Decimal:
    """A number without sign, currency or unit but with an optional multiplier (``10K``, ``10 mil``)."""
    found = _NUMBER.match(_clean(text))
    suffix = found["suffix"].rstrip(".") if found else ""
    if not found or suffix not in _MULTIPLIERS:
        raise NotANumber(text)
    value = _plain(found["digits"].strip(), text) * _MULTIPLIERS[suffix]
    if value > MOST:
        raise NotANumber(text)
    return value


def _plain(digits: str, text: str) -> Decimal:
    marks = [character for character in digits if not character.isascii() or not character.isdigit()]
    if not marks:
        whole = digits
    elif _GROUPED.match(digits) and len(set(marks)) == 1 and not digits.startswith("0"):
        whole = re.sub(r"\D", "", digits)
    else:
        # The last mark is the decimal one; what stands before it may be grouped.
        head, tail = re.split(rf"[{re.escape(marks[-1])}](?=[^{re.escape(marks[-1])}]*$)", digits)
        grouped = len(marks) > 1
        if marks[-1] not in ".," or not tail.isdigit() or not head or (grouped and not _GROUPED.match(head)):
            raise NotANumber(text)
        whole = re.sub(r"\D", "", head) + "." + tail
    return Decimal(whole)


def parse_count(text: str) -> tuple[int, int] | None:
    """Searches a month as (low, high), equal when exact; None when not known.

    ``10K – 100K`` is a range, ``>1M`` the decade above, ``<10`` the range from 0.
    """
    if is_unknown(text):
        return None
    cleaned = _clean(text)
    if cleaned.startswith(("<", ">")) or cleaned.endswith("+"):
        bound = int(parse_decimal(cleaned.strip("<>=+ ")))
        return (0, bound) if cleaned.startswith("<") else (bound, bound * 10)
    if found := _RANGE.match(cleaned):
        low, high = parse_decimal(found["low"]), parse_decimal(found["high"])
        if low > high:
            raise NotANumber(text)
        return int(low), int(high)
    exact = int(parse_decimal(cleaned).to_integral_value(ROUND_HALF_EVEN))
    return exact, exact


def exponent(currency: str) -> int:
    """Digits of the currency's minor unit: 2 for EUR (cents), 0 for CLP."""
    return _EXPONENTS.get(currency, 2)


def parse_money_minor(text: str, currency: str) -> int | None:
    """An amount in the currency's minor units, rounded half to even; None when not known.

    The currency's sign or code may stand before or after it and is not checked.
    """
    if is_unknown(text):
        return None
    amount = parse_decimal(_CURRENCY.sub("", _clean(text)).strip())
    return int((amount * 10 ** exponent(currency)).to_integral_value(ROUND_HALF_EVEN))


def parse_change(text: str) -> float | None:
    """A change as a fraction: ``-18%`` is -0.18. None when not known or without bound (``∞``)."""
    cleaned = re.sub(_DASHES, "-", _clean(text)).replace("%", "").strip()
    if cleaned in _UNKNOWN or "∞" in cleaned or cleaned in {"inf", "infinity"}:
        return None
    sign = -1 if cleaned.startswith("-") else 1
    return sign * float(parse_decimal(cleaned.lstrip("+-").strip())) / 100

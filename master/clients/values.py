"""What people write in a brief, turned into values: prices, days, times, colors, addresses.

Each function returns the value or raises ``ValueError`` whose text says what is expected.
"""

from __future__ import annotations

import re

from tasks.client_brief import WEEK, Day

_DAY_WORDS = {
    Day.MONDAY: ("monday", "mon", "lunes", "lun", "l"),
    Day.TUESDAY: ("tuesday", "tue", "martes", "mar", "m"),
    Day.WEDNESDAY: ("wednesday", "wed", "miercoles", "mie", "x"),
    Day.THURSDAY: ("thursday", "thu", "jueves", "jue", "j"),
    Day.FRIDAY: ("friday", "fri", "viernes", "vie", "v"),
    Day.SATURDAY: ("saturday", "sat", "sabado", "sab", "s"),
    Day.SUNDAY: ("sunday", "sun", "domingo", "dom", "d"),
}
_DAY_OF = {word: day for day, words in _DAY_WORDS.items() for word in words}
_ACCENTS = str.maketrans("áéíóúÁÉÍÓÚ", "aeiouAEIOU")
_WHOLE_CURRENCIES = frozenset({"CLP", "JPY", "KRW", "PYG", "XAF", "XOF", "VND", "ISK"})


def price_minor(text: str, currency: str) -> int:
    """``"3,20"``, ``"3.20 €"`` or ``"1.250"`` in minor units."""
    bare = re.sub(r"[\s\u00a0€$£]|[A-Z]{3}", "", text)
    if re.fullmatch(r"\d{1,3}([.,]\d{3})+", bare):
        whole, cents = re.sub(r"[.,]", "", bare), ""
    else:
        match = re.fullmatch(r"(\d{1,7})(?:[.,](\d{1,2}))?", bare)
        if match is None:
            raise ValueError(f"{text[:40]!r} is not a price: write 3,20 or 3.20, and words in price_note")
        whole, cents = match[1], match[2] or ""
    if currency in _WHOLE_CURRENCIES:
        if cents.strip("0"):
            raise ValueError(f"{text[:40]!r}: {currency} has no cents")
        return int(whole)
    return int(whole) * 100 + int(cents.ljust(2, "0"))


def days(text: str) -> list[Day]:
    """``"mon-fri"``, ``"lunes a viernes"``, ``"sábado, domingo"``, ``"daily"``."""
    plain = text.strip().lower().translate(_ACCENTS)
    if plain in ("daily", "every day", "todos los dias", "diario"):
        return list(WEEK)
    found: list[Day] = []
    for part in re.split(r"\s*(?:,|;|&|\+|\by\b|\band\b)\s*", plain):
        ends = [end for end in re.split(r"\s*(?:-|–|\bto\b|\ba\b|\bal\b)\s*", part) if end]
        unknown = [end for end in ends if end not in _DAY_OF]
        if unknown or not 1 <= len(ends) <= 2:
            raise ValueError(
                f"{(unknown or [text])[0][:40]!r} is not a day: write mon-fri, sat, or lunes a viernes"
            )
        first, last = WEEK.index(_DAY_OF[ends[0]]), WEEK.index(_DAY_OF[ends[-1]])
        span = range(first, last + 1) if first <= last else [*range(first, 7), *range(last + 1)]
        found += [WEEK[index] for index in span]
    return sorted(set(found), key=WEEK.index)


def clock_time(text: str) -> str:
    """``"8:00"``, ``"20:30"``, ``"8"`` or ``"8.30"`` as ``HH:MM``."""
    match = re.fullmatch(r"(\d{1,2})(?:[:.h](\d{2}))?\s*h?", text.strip())
    hours, minutes = (int(match[1]), int(match[2] or 0)) if match else (99, 0)
    if hours > 23 or minutes > 59:
        raise ValueError(f"{text[:40]!r} is not a time: write 08:00 to 23:59")
    return f"{hours:02d}:{minutes:02d}"


def color(text: str) -> str:
    """``"#A33"`` or ``"#AA3333"`` as ``#aa3333``."""
    match = re.fullmatch(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})", text.strip())
    if match is None:
        raise ValueError(f'{text[:40]!r} is not a color: write it as "#a6432d", between quotes')
    digits = match[1].lower()
    return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))


def email(text: str) -> str:
    if not re.fullmatch(
        r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+", text
    ):
        raise ValueError(f"{text[:60]!r} is not an e-mail address")
    return text


def phone(text: str) -> str:
    if not re.fullmatch(r"\+?[0-9][0-9 ()./-]{4,28}", text) or sum(c.isdigit() for c in text) < 6:
        raise ValueError(f"{text[:40]!r} is not a phone number: digits, spaces and a leading + only")
    return text


def domain(text: str) -> str:
    """``"https://www.example.com/"`` as ``www.example.com``."""
    bare = re.sub(r"^https?://|/$", "", text.strip().lower())
    if not re.fullmatch(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}", bare):
        raise ValueError(f"{text[:60]!r} is not a domain: write www.example.com")
    return bare


def business_name(text: str) -> str:
    """A name is shown in titles, messages and folder names: no markup and no path in it."""
    if re.search(r"[<>\\\x00]|\.\.|^[/~.]", text):
        raise ValueError(
            f"{text[:40]!r} looks like markup or a path, not like the name of a business: "
            f"leave out '<', '>', '\\', '..' and a leading '/'"
        )
    if not any(character.isalnum() for character in text):
        raise ValueError(f"{text[:40]!r} has no letter or digit")
    return text

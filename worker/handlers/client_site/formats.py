"""How prices, days and hours read in each language."""

from __future__ import annotations

from tasks.client_brief import WEEK, Brief, Day, Hours, Language

_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "MXN": "MX$", "ARS": "AR$", "COP": "COL$", "CLP": "CLP$"}
#: Currencies whose minor unit is the unit itself (ISO 4217 exponent 0).
_WHOLE = frozenset({"CLP", "JPY", "KRW", "PYG", "XAF", "XOF", "VND", "ISK"})

DAY_NAMES = {
    Language.SPANISH: ("Lunes", "Martes", "Miércoles", "Jueves", "Viernes", "Sábado", "Domingo"),
    Language.ENGLISH: ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
#: As schema.org names them.
SCHEMA_DAYS = dict(zip(WEEK, DAY_NAMES[Language.ENGLISH], strict=True))


def price(minor: int, currency: str, language: Language) -> str:
    """``320, "EUR"`` -> ``3,20 €`` (es) or ``€3.20`` (en); whole amounts lose their zeros."""
    exponent = 0 if currency in _WHOLE else 2
    units, cents = divmod(minor, 10**exponent)
    decimal, thousands = (",", ".") if language == Language.SPANISH else (".", ",")
    amount = f"{units:,}".replace(",", thousands)
    if cents:
        amount += f"{decimal}{cents:02d}"
    symbol = _SYMBOLS.get(currency, currency)
    if language == Language.SPANISH:
        return f"{amount}\N{NO-BREAK SPACE}{symbol}"
    return f"{symbol}{amount}" if symbol != currency else f"{symbol}\N{NO-BREAK SPACE}{amount}"


def machine_price(minor: int, currency: str) -> str:
    """As schema.org wants it: ``3.20``."""
    return str(minor) if currency in _WHOLE else f"{minor // 100}.{minor % 100:02d}"


def timetable(brief: Brief) -> list[tuple[str, str]]:
    """Rows of (days, times): days with the same times share a row, consecutive ones as a range."""
    times_of: dict[Day, list[str]] = {}
    for hours in brief.hours:
        for day in hours.days:
            times_of.setdefault(day, []).append(f"{hours.opens}\N{EN DASH}{hours.closes}")
    rows: list[tuple[list[Day], str]] = []
    for day in WEEK:
        if day not in times_of:
            continue
        times = ", ".join(sorted(times_of[day]))
        if rows and rows[-1][1] == times and WEEK.index(rows[-1][0][-1]) + 1 == WEEK.index(day):
            rows[-1][0].append(day)
        else:
            rows.append(([day], times))
    return [(_day_range(days, brief.language), times) for days, times in rows]


def _day_range(days: list[Day], language: Language) -> str:
    names = [DAY_NAMES[language][WEEK.index(day)] for day in days]
    if len(names) == 1:
        return names[0]
    if language == Language.SPANISH:
        joiner = " y " if len(names) == 2 else " a "
        return names[0] + joiner + names[-1].lower()
    return names[0] + (" and " if len(names) == 2 else " to ") + names[-1]


def phone_link(phone: str) -> str:
    return "tel:" + "".join(character for character in phone if character.isdigit() or character == "+")


def schema_hours(hours: Hours) -> dict[str, object]:
    return {
        "@type": "OpeningHoursSpecification",
        "dayOfWeek": [SCHEMA_DAYS[day] for day in hours.days],
        "opens": hours.opens,
        "closes": hours.closes,
    }

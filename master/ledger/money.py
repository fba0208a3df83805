"""Money for people. Inside, it is integer minor units with a currency."""

from __future__ import annotations

#: ISO 4217 currencies whose minor unit is not a hundredth of the major one.
_NO_MINOR = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split())
_THOUSANDTH = frozenset("BHD IQD JOD KWD LYD OMR TND".split())


def format_money(minor: int, currency: str) -> str:
    """``1250, "EUR"`` -> ``12.50 EUR``. Places after ISO 4217."""
    places = 0 if currency in _NO_MINOR else 3 if currency in _THOUSANDTH else 2
    sign, digits = "-" if minor < 0 else "", str(abs(minor)).rjust(places + 1, "0")
    whole = f"{int(digits[:-places] if places else digits):,}"
    return f"{sign}{whole}.{digits[-places:]} {currency}" if places else f"{sign}{whole} {currency}"

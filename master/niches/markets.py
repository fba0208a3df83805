"""The markets that D8 knows: what their people search in, pay with and can spend.

Sources, rounded, for comparison rather than accounting: people online from the World Bank (indicators
SP.POP.TOTL and IT.NET.USER.ZS, 2023) and purchasing power from its GDP per head at purchasing power
parity (NY.GDP.PCAP.PP.CD, 2023), taken relative to Spain. Shares of languages are of people who
would search in them. Reference rates are those of late 2025; they only put bids on one scale.
"""

from __future__ import annotations

import difflib

from pydantic import Field

from tasks.errors import NotFound
from tasks.record import Record


class Market(Record):
    """One country as a place to sell."""

    key: str
    name: str
    #: ISO 3166-1 alpha-2.
    country: str
    #: ISO 639-1 of the language that most searches are in.
    language: str
    #: ISO 4217 of what people pay with.
    currency: str
    #: People who use the internet, millions.
    online_millions: float = Field(gt=0)
    #: What an average person there can spend, Spain = 1.
    purchasing_factor: float = Field(gt=0)
    #: Language to the share of people online who would search in it.
    languages: dict[str, float]
    #: Top-level domains that people there trust, best first.
    domains: tuple[str, ...]

    def audience_millions(self, language: str) -> float:
        """People online there who would search in this language, millions."""
        return self.online_millions * self.languages.get(language, 0.001)


def _market(
    key: str,
    name: str,
    country: str,
    language: str,
    currency: str,
    online: float,
    factor: float,
    languages: dict[str, float],
    *domains: str,
) -> Market:
    return Market(
        key=key,
        name=name,
        country=country,
        language=language,
        currency=currency,
        online_millions=online,
        purchasing_factor=factor,
        languages=languages,
        domains=domains,
    )


MARKETS: dict[str, Market] = {
    market.key: market
    for market in (
        _market("spain", "Spain", "ES", "es", "EUR", 46, 1.00, {"es": 0.97, "en": 0.12}, "es", "com"),
        _market("mexico", "Mexico", "MX", "es", "MXN", 104, 0.47, {"es": 0.97, "en": 0.10}, "mx", "com"),
        _market("argentina", "Argentina", "AR", "es", "ARS", 40, 0.56, {"es": 0.98, "en": 0.10}, "ar", "com"),
        _market("colombia", "Colombia", "CO", "es", "COP", 40, 0.40, {"es": 0.99, "en": 0.06}, "co", "com"),
        _market("chile", "Chile", "CL", "es", "CLP", 18, 0.62, {"es": 0.98, "en": 0.08}, "cl", "com"),
        _market(
            "portugal",
            "Portugal",
            "PT",
            "pt",
            "EUR",
            9,
            0.90,
            {"pt": 0.97, "en": 0.20, "es": 0.04},
            "pt",
            "com",
        ),
        _market(
            "france", "France", "FR", "fr", "EUR", 59, 1.13, {"fr": 0.97, "en": 0.12, "es": 0.02}, "fr", "com"
        ),
        _market(
            "italy", "Italy", "IT", "it", "EUR", 51, 1.10, {"it": 0.97, "en": 0.10, "es": 0.01}, "it", "com"
        ),
        _market(
            "germany",
            "Germany",
            "DE",
            "de",
            "EUR",
            77,
            1.32,
            {"de": 0.95, "en": 0.20, "es": 0.01},
            "de",
            "com",
        ),
        _market(
            "uk", "United Kingdom", "GB", "en", "GBP", 66, 1.13, {"en": 0.98, "es": 0.01}, "co.uk", "com"
        ),
        _market("usa", "United States", "US", "en", "USD", 312, 1.58, {"en": 0.93, "es": 0.12}, "com", "us"),
    )
}

#: Euros for one unit, see above. Bids in a currency that is not here are refused.
EUR_PER_UNIT: dict[str, float] = {
    "EUR": 1.0,
    "USD": 0.86,
    "GBP": 1.14,
    "MXN": 0.047,
    "ARS": 0.0006,
    "COP": 0.00022,
    "CLP": 0.0009,
    "BRL": 0.16,
    "CHF": 1.07,
}

_OTHER_NAMES = {
    "españa": "spain",
    "espana": "spain",
    "es": "spain",
    "méxico": "mexico",
    "mx": "mexico",
    "ar": "argentina",
    "co": "colombia",
    "cl": "chile",
    "us": "usa",
    "united states": "usa",
    "gb": "uk",
    "united kingdom": "uk",
    "de": "germany",
    "alemania": "germany",
    "fr": "france",
    "francia": "france",
    "it": "italy",
    "italia": "italy",
    "pt": "portugal",
}


def get_market(name: str) -> Market:
    """The market of this name; ``NotFound`` says which one may have been meant."""
    wanted = name.strip().casefold()
    key = _OTHER_NAMES.get(wanted, wanted)
    if key in MARKETS:
        return MARKETS[key]
    near = difflib.get_close_matches(wanted, [*MARKETS, *_OTHER_NAMES], n=1, cutoff=0.6)
    meant = f" Did you mean {_OTHER_NAMES.get(near[0], near[0])!r}?" if near else ""
    raise NotFound(f"there is no market {name[:40]!r}.{meant} D8 knows {', '.join(sorted(MARKETS))}")

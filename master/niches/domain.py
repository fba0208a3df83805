"""Domain names for a niche: proposed from its words. Pure; nothing is looked up or bought."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from master.niches.markets import Market
from tasks.record import Record

#: Longer names are mistyped and truncated. (RFC 1035 allows 63.)
LONGEST = 24
SHORTEST = 4

#: A year of each top-level domain at a usual registrar, euro cents with VAT, rounded up. What is
#: asked for is the most that the purchase may cost; a premium name is then refused.
YEARLY_COST_EUR_MINOR = {
    "es": 1000, "com": 1500, "mx": 4000, "ar": 1500, "co": 3500, "cl": 1500, "pt": 1500, "fr": 1200,
    "it": 1200, "de": 1000, "co.uk": 1000, "us": 1200,
}  # fmt: skip

_SMALL_WORDS = frozenset(
    "a al con de del el en la las los para por un una y the of for to in and di du da do le".split()
)
#: What stands well behind a subject, by language; the empty one is the bare name.
_ENDINGS = {
    "es": ("", "hoy", "facil", "ideal"),
    "en": ("", "hub", "guide", "daily"),
    "pt": ("", "hoje", "facil", "certo"),
    "fr": ("", "facile", "direct", "guide"),
    "it": ("", "facile", "oggi", "guida"),
    "de": ("", "heute", "direkt", "profi"),
}


class DomainName(Record):
    name: str
    #: Euro cents for the first year.
    cost_minor: int


def propose_domains(label: str, market: Market, count: int = 5) -> tuple[DomainName, ...]:
    """Up to ``count`` names for a niche, best first; none when the label has no Latin letter."""
    words = re.findall(r"[a-z0-9]+", _ascii(label))
    strong = [word for word in words if word not in _SMALL_WORDS] or words
    found: dict[str, DomainName] = {}
    for stem in _stems(words, strong):
        if not stem:
            continue
        for ending in _ENDINGS.get(market.language, ("",)):
            for domain in market.domains:
                name = stem + ending
                if _acceptable(name):
                    full = f"{name}.{domain}"
                    found.setdefault(full, DomainName(name=full, cost_minor=YEARLY_COST_EUR_MINOR[domain]))
    return tuple(sorted(found.values(), key=lambda domain: _appeal(domain.name, market))[:count])


def _ascii(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return decomposed.encode("ascii", "ignore").decode()


def _stems(words: list[str], strong: list[str]) -> Iterator[str]:
    yield "".join(words)
    yield "".join(strong)
    yield "".join(strong[:3])
    yield "".join(strong[:2])
    yield from strong[:1]


def _acceptable(name: str) -> bool:
    return SHORTEST <= len(name) <= LONGEST and not name.isdigit()


def _appeal(full: str, market: Market) -> tuple[bool, int, int, str]:
    """Sort key. The country's own domain first, then near 12 letters: shorter ones say too little."""
    name, _, domain = full.partition(".")
    return domain != market.domains[0], abs(len(name) - 12), len(name), full

"""Which facts a text states, and which of them the brief does not."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Iterator

from tasks.client_brief import WEEK, Brief
from worker.handlers.client_site.formats import DAY_NAMES, price
from worker.handlers.client_site.words import SUPERLATIVES

NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
PHONE = re.compile(r"\+?\d[\d ()./-]{5,}\d")
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_LOOK_BACK = 64
_SENTENCE_END = re.compile(r"[.!?¡¿:;·|—–\"“”«»(\[\n•]\s*$")


@dataclasses.dataclass(frozen=True)
class Known:
    """What the brief states, in the normal forms that texts are compared in."""

    numbers: frozenset[str]
    emails: frozenset[str]
    phones: frozenset[str]
    prices: tuple[str, ...]
    words: frozenset[str]


def known_facts(brief: Brief) -> Known:
    """Everything that a text may state about this business."""
    texts = list(brief_texts(brief))
    prices = [
        price(s.price_minor, brief.currency, brief.language)
        for s in brief.services
        if s.price_minor is not None
    ]
    days = [DAY_NAMES[brief.language][WEEK.index(day)] for hours in brief.hours for day in hours.days]
    joined = "\n".join([*texts, *prices, *days])
    return Known(
        numbers=frozenset(NUMBER.findall(joined)),
        emails=frozenset(found.lower() for found in EMAIL.findall(joined)),
        phones=frozenset(digits(found) for text in texts for found in PHONE.findall(text)),
        prices=tuple(dict.fromkeys(prices)),
        words=frozenset(fold(word) for word in WORD.findall(joined)),
    )


def brief_texts(brief: Brief) -> Iterator[str]:
    """Every text of the brief that may appear on the site."""
    yield from (brief.name, brief.sector, brief.city, brief.description, brief.slogan, brief.audience)
    yield from (brief.contact.email, brief.contact.phone, brief.contact.address, brief.domain)
    for service in brief.services:
        yield from (service.name, service.description, service.price_note)
    for question in brief.questions:
        yield from (question.question, question.answer)
    for hours in brief.hours:
        yield from (hours.opens, hours.closes)


def unknown_numbers(text: str, known: Known) -> list[str]:
    """Numbers in the text that the brief does not state, phone numbers and e-mails apart."""
    rest = PHONE.sub(
        lambda found: " " if digits(found[0]) in known.phones else found[0], EMAIL.sub(" ", text)
    )
    return [number for number in NUMBER.findall(rest) if number not in known.numbers]


def unknown_contacts(text: str, known: Known) -> list[str]:
    """E-mail addresses and phone-like numbers that are not the brief's."""
    emails = [found for found in EMAIL.findall(text) if found.lower() not in known.emails]
    phones = [
        found
        for found in PHONE.findall(EMAIL.sub(" ", text))
        if len(digits(found)) >= 9 and digits(found) not in known.phones
    ]
    return emails + phones


def unknown_names(text: str, known: Known) -> list[str]:
    """Capitalized words inside a sentence that the brief never uses: people, places, brands."""
    found = []
    for match in WORD.finditer(text):
        # A look at the last few characters is enough, and keeps a long page from taking forever.
        before = text[max(0, match.start() - _LOOK_BACK) : match.start()].rstrip(" ")
        starts = not before or _SENTENCE_END.search(before) is not None
        if match[0][0].isupper() and not starts and fold(match[0]) not in known.words:
            found.append(match[0])
    return found


def unknown_superlatives(text: str, brief: Brief, known: Known) -> list[str]:
    """Claims to be the best, the first or the only one that the client did not make."""
    own = fold(" ".join(brief_texts(brief)))
    padded = f" {' '.join(fold(word) for word in WORD.findall(text))} "
    return [claim for claim in SUPERLATIVES[brief.language] if f" {claim} " in padded and claim not in own]


def fold(text: str) -> str:
    """Lower case without accents: how words are compared."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in plain if not unicodedata.combining(character))


def digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


def open_minutes(opens: str, closes: str) -> int:
    """How long the business is open, in minutes; negative when it closes before it opens."""
    return _minutes(closes) - _minutes(opens)


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)

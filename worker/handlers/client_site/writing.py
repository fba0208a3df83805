"""What a generated text must satisfy before it may stand on a client's page."""

from __future__ import annotations

import re

from tasks.client_brief import Brief, Language
from worker.handlers.client_site.facts import (
    WORD,
    Known,
    fold,
    unknown_contacts,
    unknown_names,
    unknown_numbers,
    unknown_superlatives,
)
from worker.handlers.client_site.words import COURTESY_WORDS, FUNCTION_WORDS

#: Markup, and the colon of an echoed prompt ("Business: ...").
_MARKUP = re.compile(r"[<>{}\[\]*_#`|\\:]")
#: Two words are one for the check when they share so long a beginning ("hornear", "horneamos").
_STEM = 5
#: A sentence has at least this share of grammatical words; a string of keywords has fewer.
_SENTENCE_SHARE = 0.25


def clean(text: str) -> str:
    """A generated text on one line, without the quotes that models put around it."""
    return " ".join(text.split()).strip("\"“”'« »").strip()


def refusal(text: str, brief: Brief, known: Known, max_chars: int) -> str:
    """Why this text may not be used, or "" when it may.

    Beyond numbers, contacts, names and superlatives, every word that carries meaning must come from
    the brief or be a courtesy: a text made of the brief's own words can hardly invent.
    """
    if not 20 <= len(text) <= max_chars:
        return f"{len(text)} characters, not 20 to {max_chars}"
    if _MARKUP.search(text):
        return "contains markup or a colon"
    if text[-1] not in ".!?":
        return "does not end like a sentence"
    for what, found in (
        ("number", unknown_numbers(text, known)),
        ("contact", unknown_contacts(text, known)),
        ("name", unknown_names(text, known)),
        ("claim", unknown_superlatives(text, brief, known)),
    ):
        if found:
            return f"{what} {found[0]!r} is not in the brief"
    words = [fold(word) for word in WORD.findall(text)]
    if len(set(words)) < 0.6 * len(words):
        return "repeats itself"
    if sum(word in FUNCTION_WORDS[brief.language] for word in words) < _SENTENCE_SHARE * len(words):
        return "reads like a list of words, not like a sentence"
    foreign = _foreign_word(words, brief.language, known)
    return f"the word {foreign!r} is not the brief's" if foreign else ""


def _foreign_word(words: list[str], language: Language, known: Known) -> str:
    allowed = FUNCTION_WORDS[language] | COURTESY_WORDS[language] | known.words
    stems = {word[:_STEM] for word in known.words if len(word) > _STEM}
    for word in words:
        if word not in allowed and not (len(word) > _STEM and word[:_STEM] in stems):
            return word
    return ""

"""The slots that the copywriter fills, each with what may stand there."""

from __future__ import annotations

import re

from master.clients.kits import Kit
from master.clients.phrases import ASKS, PHRASES, REGISTERS
from tasks.client_brief import Brief
from tasks.client_look import Action
from tasks.client_write import Slot, SlotName

_LEAD_CHARACTERS = 240


def site_slots(brief: Brief, kit: Kit, action: Action, avoid: dict[str, tuple[str, ...]]) -> tuple[Slot, ...]:
    """Every slot of the site; candidates that were rejected before are left out while others remain."""
    asks = ASKS[brief.language]
    visit = bool(brief.contact.address)
    kit_key = f"services.{kit}" if kit in (Kit.FOOD, Kit.SHOP) else "services"
    priced = any(service.price_minor is not None for service in brief.services)
    by_visit = ".visit" if visit else ""
    wanted: dict[SlotName, tuple[str, ...]] = {
        SlotName.HEADLINE: (brief.slogan,) if brief.slogan else _phrases(brief, "headline"),
        SlotName.LEAD: _leads(brief),
        SlotName.ACTION: _phrases(brief, f"action.{action}"),
        SlotName.SERVICES_HEADING: _phrases(brief, kit_key),
        SlotName.SERVICES_INTRO: _phrases(brief, "services.intro.priced" if priced else "services.intro"),
        SlotName.ABOUT_HEADING: _phrases(brief, "about"),
        SlotName.ABOUT_INTRO: _phrases(brief, "about.intro"),
        SlotName.CONTACT_HEADING: _phrases(brief, "contact" + by_visit),
        SlotName.CONTACT_INTRO: _phrases(brief, "contact.intro" + by_visit),
        SlotName.CLOSING_HEADING: _phrases(brief, "closing.visit" if action == Action.VISIT else "closing"),
        SlotName.CLOSING_TEXT: _phrases(brief, f"closing.text.{action}"),
        SlotName.FAQ_HEADING: _phrases(brief, "faq"),
    }
    asked = {SlotName.LEAD: asks["lead"], SlotName.ABOUT_INTRO: asks["about.intro"]}
    return tuple(
        Slot(
            name=name,
            candidates=_without(candidates, avoid.get(name, ())),
            ask=asked.get(name, ""),
            max_chars=_LEAD_CHARACTERS,
        )
        for name, candidates in wanted.items()
    )


def summary_slots(brief: Brief) -> tuple[Slot, ...]:
    """The executive summary's own sentences, in the client's language."""
    return tuple(
        Slot(name=name, candidates=tuple(_fill(brief, phrase) for phrase in phrases))
        for name, phrases in _SUMMARY[brief.language.value].items()
    )


def _phrases(brief: Brief, key: str) -> tuple[str, ...]:
    phrases = PHRASES[brief.language][REGISTERS[brief.tone]][key]
    if not brief.hours:
        # A phrase that speaks of opening hours needs some.
        phrases = (
            tuple(phrase for phrase in phrases if not re.search("horario|opening hours", phrase)) or phrases
        )
    return tuple(_fill(brief, phrase) for phrase in phrases)


def _fill(brief: Brief, phrase: str) -> str:
    sector = brief.sector
    return phrase.format(
        name=brief.name,
        city=brief.city,
        sector=sector[:1].lower() + sector[1:],
        Sector=sector[:1].upper() + sector[1:],
    )


def _leads(brief: Brief) -> tuple[str, ...]:
    """The description's own first sentences, alone or two together."""
    sentences = re.split(r"(?<=[.!?])\s+", " ".join(brief.description.split()))
    found = [sentence for sentence in sentences[:3] if 30 <= len(sentence) <= _LEAD_CHARACTERS]
    found += [pair for pair in (" ".join(sentences[:2]),) if len(pair) <= _LEAD_CHARACTERS]
    whole = " ".join(brief.description.split())
    return tuple(dict.fromkeys(found)) or (_cut(whole),)


def _cut(text: str) -> str:
    return text if len(text) <= _LEAD_CHARACTERS else text[: _LEAD_CHARACTERS - 1].rsplit(" ", 1)[0] + "…"


def _without(candidates: tuple[str, ...], avoid: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(candidate for candidate in candidates if candidate not in avoid) or candidates


_SUMMARY = {
    "es": {
        "summary.opening": (
            "Hemos preparado la web de {name} a partir de su brief, sin añadir ningún dato.",
            "Esta es la propuesta de web para {name}, hecha solo con lo que dice su brief.",
        ),
        "summary.closing": (
            "Al aprobar la solicitud se publica; si algo no encaja, se rehace una vez con el motivo.",
            "Queda pendiente su aprobación. Si se rechaza con un motivo, se rehace una vez.",
        ),
    },
    "en": {
        "summary.opening": (
            "We have prepared the website of {name} from its brief, adding no facts of our own.",
            "This is the website we propose for {name}, made only of what its brief says.",
        ),
        "summary.closing": (
            "Approving the request publishes it; if something is wrong, it is reworked once with the reason.",
            "It waits for your approval. Rejected with a reason, it is reworked once.",
        ),
    },
}

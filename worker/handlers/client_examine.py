"""The analyst: what the brief states, what it lacks and where it contradicts itself."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.client_brief import Brief
from tasks.client_examine import FactSheet, Remark, Request, Result
from worker.handlers.client_site.facts import (
    PHONE,
    WORD,
    brief_texts,
    digits,
    fold,
    known_facts,
    open_minutes,
)
from worker.handlers.context import Context


def handle(request: Request, context: Context) -> Result:
    known = known_facts(request.brief)
    context.progress(0.5, "facts listed")
    return Result(
        facts=FactSheet(
            numbers=tuple(sorted(known.numbers)),
            emails=tuple(sorted(known.emails)),
            phones=tuple(sorted(known.phones)),
            prices=known.prices,
        ),
        gaps=tuple(_gaps(request.brief)),
        conflicts=tuple(_conflicts(request.brief)),
    )


def _gaps(brief: Brief) -> Iterator[Remark]:
    missing = {
        "contact.phone": (brief.contact.phone, "visitors cannot call"),
        "contact.email": (brief.contact.email, "visitors cannot write"),
        "contact.address": (brief.contact.address, "visitors cannot find the place"),
        "hours": (brief.hours, "visitors do not know when it is open"),
        "domain": (brief.domain, "the site gets no sitemap and no canonical addresses"),
    }
    for key, (value, loss) in missing.items():
        if not value:
            yield Remark(key=key, text=f"not given: {loss}")
    unpriced = sum(service.price_minor is None for service in brief.services)
    if 0 < unpriced < len(brief.services):
        yield Remark(key="services", text=f"{unpriced} of {len(brief.services)} services have no price")


def _conflicts(brief: Brief) -> Iterator[Remark]:
    own_phone = digits(brief.contact.phone)
    for text in brief_texts(brief):
        for found in PHONE.findall(text):
            number = digits(found)
            if len(number) >= 9 and own_phone and number not in own_phone and own_phone not in number:
                yield Remark(key="contact.phone", text=f"a text gives another number, {found}")
    for index, hours in enumerate(brief.hours):
        if open_minutes(hours.opens, hours.closes) == 0:
            yield Remark(key=f"hours[{index}]", text=f"opens and closes at {hours.opens}")
    if not {fold(word) for word in WORD.findall(brief.city)} & {
        fold(word) for word in WORD.findall(f"{brief.description} {brief.contact.address} {brief.slogan}")
    }:
        yield Remark(key="city", text=f"neither the address nor the description mentions {brief.city}")

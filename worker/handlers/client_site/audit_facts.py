"""The reviewer's checks of what the site states, each against the brief itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from tasks.client_brief import Brief, Page
from tasks.client_review import CheckName
from worker.handlers.client_site.facts import (
    NUMBER,
    brief_texts,
    known_facts,
    unknown_contacts,
    unknown_names,
    unknown_numbers,
    unknown_superlatives,
)
from worker.handlers.client_site.formats import machine_price, price
from worker.handlers.client_site.page import HtmlPage
from worker.handlers.client_site.site import Site
from worker.handlers.client_site.strings import FILES, NAVIGATION
from worker.handlers.client_site.words import PLACEHOLDERS


def _numbers(site: Site, brief: Brief) -> Iterator[str]:
    known = known_facts(brief)
    for page in site.pages:
        for number in unknown_numbers(page.stated_text, known):
            yield f"{page.path} states {number!r}, which is not in the brief"
    prices = {
        machine_price(s.price_minor, brief.currency) for s in brief.services if s.price_minor is not None
    }
    for page in site.pages:
        for value in _data_values(page):
            if value not in prices:
                yield from (
                    f"{page.path}: its data block states {number!r}, which is not in the brief"
                    for number in unknown_numbers(value, known)
                )


def _contacts(site: Site, brief: Brief) -> Iterator[str]:
    known = known_facts(brief)
    for page in site.pages:
        links = [
            target.partition(":")[2]
            for _, _, target in page.references
            if target.startswith(("mailto:", "tel:"))
        ]
        for stated in [page.stated_text, *links, *_data_values(page)]:
            yield from (
                f"{page.path} gives {found!r}, which is not in the brief"
                for found in unknown_contacts(stated, known)
            )


def _names(site: Site, brief: Brief) -> Iterator[str]:
    known = known_facts(brief)
    fixed = set(NAVIGATION[brief.language].values())
    for page in site.pages:
        for name in unknown_names(page.stated_text, known):
            if name not in fixed:
                yield f"{page.path} names {name!r}, which is not in the brief"


def _superlatives(site: Site, brief: Brief) -> Iterator[str]:
    known = known_facts(brief)
    for page in site.pages:
        for claim in unknown_superlatives(page.stated_text, brief, known):
            yield f"{page.path} claims {claim!r}, which the client did not"


def _services(site: Site, brief: Brief) -> Iterator[str]:
    where = FILES[brief.language][Page.SERVICES if Page.SERVICES in brief.pages else Page.HOME]
    page = next((page for page in site.pages if page.path == where), None)
    text = "" if page is None else _plain(page.visible_text)
    for service in brief.services:
        if _plain(service.name) not in text:
            yield f"{where} does not show the service {service.name!r}"
        elif service.price_minor is not None:
            shown = price(service.price_minor, brief.currency, brief.language)
            if _plain(shown) not in text:
                yield f"{where} does not show the price of {service.name!r}, {shown}"


def _placeholders(site: Site, brief: Brief) -> Iterator[str]:
    own = " ".join(brief_texts(brief)).lower()
    for page in site.pages:
        text = page.stated_text.lower()
        yield from (
            f"{page.path} contains {mark!r}" for mark in PLACEHOLDERS if mark in text and mark not in own
        )
        if re.search(r"<(p|h1|h2|h3|li|dd|td)[^>]*>\s*</\1>", page.source):
            yield f"{page.path} has an empty paragraph, heading or cell"


def _data_values(page: HtmlPage) -> Iterator[str]:
    """The texts in a page's JSON-LD, its vocabulary apart."""
    for block in page.data_blocks:
        try:
            yield from _leaves(json.loads(block))
        except ValueError:
            # Not JSON: the numbers and contacts in it are checked as they stand.
            yield block


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if not key.startswith("@"):
                yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield str(value)


def _plain(text: str) -> str:
    return " ".join(text.split())


def _number_text(site: Site, _brief: Brief) -> str:
    return f"{sum(len(NUMBER.findall(page.stated_text)) for page in site.pages)} numbers, all from the brief"


FACT_CHECKS: dict[CheckName, tuple[Callable[[Site, Brief], Iterator[str]], Callable[[Site, Brief], str]]] = {
    CheckName.NUMBERS: (_numbers, _number_text),
    CheckName.CONTACTS: (_contacts, lambda _, __: "every e-mail address and phone number is the brief's"),
    CheckName.NAMES: (_names, lambda _, __: "every name is in the brief"),
    CheckName.SUPERLATIVES: (_superlatives, lambda _, __: "no claim that the client did not make"),
    CheckName.SERVICES: (
        _services,
        lambda _, brief: f"all {len(brief.services)} services, with every price given",
    ),
    CheckName.PLACEHOLDERS: (_placeholders, lambda _, __: "no unfinished text"),
}

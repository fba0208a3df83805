"""The site's files from the brief and the decisions made about it. Every text is escaped by the templates."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tasks.client_brief import Brief, Language, Page
from tasks.client_build import Request
from tasks.client_look import Action, Look, Shape, Typeface
from worker.handlers.client_site.colors import Scheme, dark_scheme, light_scheme
from worker.handlers.client_site.formats import machine_price, phone_link, price, schema_hours, timetable
from worker.handlers.client_site.shorten import paragraphs, shorten, start_upper
from worker.handlers.client_site.strings import FILES, LABELS, NAVIGATION

_SANS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
#: Display font, tracking and weight; all fonts are the visitor's own, nothing is fetched.
_TYPE = {
    Typeface.CLASSIC: (
        "'Iowan Old Style', 'Palatino Linotype', Palatino, 'Book Antiqua', Georgia, serif",
        "-0.015em",
        "600",
    ),
    Typeface.CLEAN: (_SANS, "-0.03em", "700"),
    Typeface.ROUNDED: (
        "ui-rounded, 'SF Pro Rounded', 'Hiragino Maru Gothic ProN', Quicksand, Nunito, "
        "'Segoe UI', system-ui, sans-serif",
        "-0.02em",
        "700",
    ),
}


def render_site(request: Request) -> dict[str, bytes]:
    """Path -> content of every file but the drawings.

    Raises ``KeyError`` when a slot that the pages need has no text.
    """
    brief = request.brief
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shared = _shared(request)
    files = {}
    for page in brief.pages:
        page_values = _page(brief, page, request.texts)
        text = environment.get_template(f"{page}.html").render(page=page_values, **shared)
        files[FILES[brief.language][page]] = text
    files["style.css"] = environment.get_template("style.css").render(**_style(request.look))
    files["404.html"] = _missing_page(environment, shared)
    files["robots.txt"] = _robots(brief)
    if brief.domain:
        files["sitemap.xml"] = _sitemap(brief)
    return {path: text.encode("utf-8") for path, text in files.items()}


def page_url(brief: Brief, page: Page) -> str:
    """Where a page will live, or "" when the brief names no domain."""
    if not brief.domain:
        return ""
    return f"https://{brief.domain}/" + ("" if page == Page.HOME else FILES[brief.language][page])


def _shared(request: Request) -> dict[str, Any]:
    brief, look = request.brief, request.look
    files, names = FILES[brief.language], NAVIGATION[brief.language]
    contact = brief.contact
    has_contact = bool(contact.email or contact.phone or contact.address)
    label = LABELS[brief.language]
    action, second = _actions(request)
    return {
        "brief": brief,
        "text": request.texts,
        "label": label,
        "sections": request.sections,
        "light": light_scheme(look.accent, look.neutral),
        "dark": dark_scheme(look.accent, look.neutral),
        "navigation": [{"name": page, "file": files[page], "label": names[page]} for page in brief.pages],
        "file_of": {page.value: files[page] if page in brief.pages else "" for page in Page},
        "services": [_service(brief, index) for index in range(len(brief.services))],
        "paragraphs": paragraphs(brief.description),
        "hours": timetable(brief),
        "has_contact": has_contact,
        "phone_link": phone_link(contact.phone),
        "action": action,
        "second_action": second,
        "sector": start_upper(brief.sector),
        "eyebrow": _eyebrow(brief, request.texts["hero.headline"]),
        "locale": "es_ES" if brief.language == Language.SPANISH else "en_US",
        "business": _business(brief),
    }


def _eyebrow(brief: Brief, headline: str) -> str:
    """The line above the heading: what and where, or the name when the heading says that already."""
    what = f"{start_upper(brief.sector)} {LABELS[brief.language]['in']} {brief.city}"
    return brief.name if headline.startswith(what) else what


def _actions(request: Request) -> tuple[str, dict[str, str] | None]:
    """Where the main button leads, and the quieter one beside it."""
    brief = request.brief
    files, names = FILES[brief.language], NAVIGATION[brief.language]
    contact_page = files[Page.CONTACT] if Page.CONTACT in brief.pages else "index.html"
    services_page = files[Page.SERVICES] if Page.SERVICES in brief.pages else "index.html"
    target = {
        Action.CALL: phone_link(brief.contact.phone),
        Action.WRITE: f"mailto:{brief.contact.email}",
        Action.VISIT: contact_page,
        Action.SERVICES: services_page,
    }[request.action]
    other = Page.CONTACT if request.action == Action.SERVICES else Page.SERVICES
    return target, {"file": files[other], "label": names[other]} if other in brief.pages else None


def _service(brief: Brief, index: int) -> dict[str, str]:
    service = brief.services[index]
    shown = "" if service.price_minor is None else price(service.price_minor, brief.currency, brief.language)
    return {
        "name": service.name,
        "description": service.description,
        "price": shown,
        "note": service.price_note,
    }


def _page(brief: Brief, page: Page, texts: dict[str, str]) -> dict[str, str]:
    where = f"{start_upper(brief.sector)} {LABELS[brief.language]['in']} {brief.city}"
    heading = NAVIGATION[brief.language][page]
    title = f"{brief.name} · {where}" if page == Page.HOME else f"{heading} · {brief.name}"
    about = {
        Page.HOME: " ".join(paragraphs(brief.description)),
        Page.SERVICES: f"{brief.name}: {', '.join(service.name for service in brief.services)}.",
        Page.ABOUT: f"{brief.name}. {texts['about.intro']}",
        Page.CONTACT: f"{brief.name}. {texts['contact.intro']} {brief.contact.address}".strip(),
        Page.FAQ: f"{brief.name}: " + " ".join(item.question for item in brief.questions),
    }[page]
    if len(about) < 70:
        about = f"{about} {where}."
    return {
        "name": page,
        "title": shorten(title, 65),
        "description": shorten(about, 158),
        "url": page_url(brief, page),
    }


def _business(brief: Brief) -> dict[str, Any]:
    """schema.org's LocalBusiness, with what the brief states and nothing else."""
    contact = brief.contact
    offers = [
        {
            "@type": "Offer",
            "name": service.name,
            "price": machine_price(service.price_minor, brief.currency),
            "priceCurrency": brief.currency,
        }
        for service in brief.services
        if service.price_minor is not None
    ]
    given = {
        "@context": "https://schema.org",
        "@type": "LocalBusiness",
        "name": brief.name,
        "description": shorten(" ".join(paragraphs(brief.description)), 300),
        "url": page_url(brief, Page.HOME),
        "telephone": contact.phone,
        "email": contact.email,
        "address": {
            "@type": "PostalAddress",
            "addressLocality": brief.city,
            **({"streetAddress": contact.address} if contact.address else {}),
        },
        "openingHoursSpecification": [schema_hours(hours) for hours in brief.hours],
        "makesOffer": offers,
    }
    return {key: value for key, value in given.items() if value}


def _style(look: Look) -> dict[str, Any]:
    display, tracking, weight = _TYPE[look.typeface]
    return {
        "light_rules": _rules(light_scheme(look.accent, look.neutral)),
        "dark_rules": _rules(dark_scheme(look.accent, look.neutral)),
        "radius": "1.4rem" if look.shape == Shape.SOFT else ".35rem",
        "radius_small": ".8rem" if look.shape == Shape.SOFT else ".25rem",
        "display_font": display,
        "body_font": _SANS,
        "tracking": tracking,
        "weight": weight,
    }


def _rules(scheme: Scheme) -> list[tuple[str, str]]:
    return [(name.replace("_", "-"), value) for name, value in dataclasses.asdict(scheme).items()]


def _missing_page(environment: Environment, shared: dict[str, Any]) -> str:
    """The 404 page carries its own style: it is served for any path, where a relative link would miss."""
    style = environment.get_template("404.css").render(**shared).strip()
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    label, brief = shared["label"], shared["brief"]
    page = {
        "title": shorten(f"{label['missing_title']} · {brief.name}", 65),
        "description": f"{brief.name}. {label['missing_text']} {label['go_home']}.",
    }
    return environment.get_template("404.html").render(
        page=page, style=style, style_hash=f"sha256-{digest}", **shared
    )


def _robots(brief: Brief) -> str:
    lines = ["User-agent: *", "Allow: /"]
    if brief.domain:
        lines.append(f"Sitemap: https://{brief.domain}/sitemap.xml")
    return "\n".join(lines) + "\n"


def _sitemap(brief: Brief) -> str:
    urls = "".join(f"  <url><loc>{escape(page_url(brief, page))}</loc></url>\n" for page in brief.pages)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}</urlset>\n'
    )

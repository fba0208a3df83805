"""What the researcher, the strategist and the architect decide, and between which options."""

from __future__ import annotations

from master.clients.kits import DESCRIPTIONS, Kit, kits_of
from tasks.client_brief import Brief, Page
from tasks.client_choose import DecisionPoint, Option
from tasks.client_look import Action, Section

NEEDS = {
    "offer": "what is on offer and what it costs",
    "place": "where it is and when it is open",
    "people": "who is behind it and how they work",
}
_ORDERS = {
    "offer-first": (Section.SERVICES, Section.ABOUT, Section.VISIT),
    "people-first": (Section.ABOUT, Section.SERVICES, Section.VISIT),
    "place-first": (Section.VISIT, Section.SERVICES, Section.ABOUT),
}
_SECTION_WORDS = {
    Section.SERVICES: "what is on offer",
    Section.ABOUT: "who we are",
    Section.VISIT: "where and when",
}
_ACTION_WORDS = {
    Action.CALL: "call us",
    Action.WRITE: "write to us",
    Action.VISIT: "come and visit us",
    Action.SERVICES: "see what is on offer",
}


def describe_business(brief: Brief, *more: str) -> str:
    """The brief in a few lines, for a prompt."""
    lines = [
        f"Business: {brief.name}, {brief.sector}, {brief.city}.",
        f"Offers: {', '.join(service.name for service in brief.services[:5])}.",
        f"Tone: {brief.tone.value}.",
        f"For: {brief.audience}." if brief.audience else "",
        " ".join(brief.description.split())[:240],
        *more,
    ]
    return "\n".join(line for line in lines if line)


def research_decisions(brief: Brief) -> tuple[DecisionPoint, ...]:
    """The kind of business (settled by its words where they are clear) and what visitors look for first."""
    kits = kits_of(brief.sector)
    named = kits if len(kits) == 1 else list(Kit)
    needs = dict(NEEDS)
    if not brief.contact.address and not brief.hours:
        needs.pop("place")
    return (
        DecisionPoint(
            name="kit",
            question="The trade of this business is:",
            options=tuple(Option(label=kit, text=DESCRIPTIONS[kit]) for kit in named),
        ),
        DecisionPoint(
            name="need",
            question="A visitor of its website first wants to know:",
            options=tuple(Option(label=label, text=text) for label, text in needs.items()),
        ),
    )


def strategy_decisions(brief: Brief, avoid: dict[str, tuple[str, ...]]) -> tuple[DecisionPoint, ...]:
    """What a visitor is invited to do; only what the brief's facts allow."""
    possible = {
        Action.CALL: bool(brief.contact.phone),
        Action.WRITE: bool(brief.contact.email),
        Action.VISIT: bool(brief.contact.address) and Page.CONTACT in brief.pages,
        Action.SERVICES: Page.SERVICES in brief.pages,
    }
    actions = [action for action, allowed in possible.items() if allowed] or [Action.SERVICES]
    left = [action for action in actions if action not in avoid.get("action", ())] or actions
    return (
        DecisionPoint(
            name="action",
            question="The main button of its website says:",
            options=tuple(Option(label=action, text=_ACTION_WORDS[action]) for action in left),
        ),
    )


def structure_decisions(avoid: dict[str, tuple[str, ...]]) -> tuple[DecisionPoint, ...]:
    """The order of the home page's sections."""
    left = {
        label: order for label, order in _ORDERS.items() if label not in avoid.get("order", ())
    } or _ORDERS
    return (
        DecisionPoint(
            name="order",
            question="Below its title the home page shows, in this order:",
            options=tuple(Option(label=label, text=_in_words(order)) for label, order in left.items()),
        ),
    )


def ordered_sections(brief: Brief, label: str) -> tuple[Section, ...]:
    """The sections of the home page that the brief has facts for, in the chosen order."""
    visit = bool(brief.hours or brief.contact.phone or brief.contact.email or brief.contact.address)
    return tuple(section for section in _ORDERS[label] if section != Section.VISIT or visit)


def _in_words(order: tuple[Section, ...]) -> str:
    return ", ".join(_SECTION_WORDS[section] for section in order)

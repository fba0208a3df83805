"""What may be spent in a month, as the owner's ``[[budgets]]`` say it, and which line is asked. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from master.ledger.money import MOST_MINOR, Money, parse_money
from tasks.errors import InvalidInput, Refused
from tasks.record import Record

#: The category of a line that counts all categories of its currency together.
OVERALL = ""

_CATEGORY = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
_MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])")
_KEYS = ("category", "month", "automatic_up_to")


class BudgetExceeded(Refused):
    """A budget line has no room for what was asked."""


class BudgetLine(Record):
    """One limit."""

    #: "hosting"; "" is overall: all categories of that currency together.
    category: str = Field(max_length=50)
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    #: The most that may be reserved and spent in one month.
    month_minor: int = Field(ge=0, le=MOST_MINOR)
    #: Requests up to this much may be approved without asking while the line has room.
    automatic_up_to_minor: int = Field(default=0, ge=0, le=MOST_MINOR)

    @property
    def name(self) -> str:
        return repr(self.category) if self.category else "everything together"


def check_category(category: str) -> str:
    """The category; ``InvalidInput`` unless it can be part of an account's name."""
    if category and (len(category) > 50 or _CATEGORY.fullmatch(category) is None):
        raise InvalidInput(
            f"{category[:60]!r} cannot be a category: use up to 50 small letters, digits, '-' and '_', such as "
            f"'hosting' or 'paid-ads'"
        )
    return category


def check_month(month: str) -> str:
    """The month; ``InvalidInput`` unless it is written ``2026-11``."""
    if _MONTH.fullmatch(month) is None:
        raise InvalidInput(f"{month[:40]!r} is not a month: write it as 2026-11")
    return month


def limits_for(budgets: Sequence[BudgetLine], category: str, amount: Money) -> dict[str, int]:
    """The limits (category -> minor units) that an amount of this category counts against.

    No line at all: none. ``Refused`` when there are lines for it, but in other currencies only: a line
    must not be escaped by changing the currency.
    """
    own = [line for line in budgets if line.category == category and category != OVERALL]
    overall = [line for line in budgets if line.category == OVERALL]
    for lines in (own, () if own else overall):
        if lines and not any(line.currency == amount.currency for line in lines):
            known = ", ".join(sorted({line.currency for line in lines}))
            raise Refused(
                f"{amount} cannot be reserved: the budget for {lines[0].name} is in {known}. Ask for an amount in "
                f"that currency, or add a [[budgets]] line in {amount.currency} to policy.toml"
            )
    limits: dict[str, int] = {}
    for line in (*own, *overall):
        if line.currency == amount.currency:
            limits[line.category] = min(line.month_minor, limits.get(line.category, line.month_minor))
    return limits


def read_budgets(given: Any, place: str) -> tuple[BudgetLine, ...]:
    """The ``[[budgets]]`` of a policy file. ``InvalidInput`` names the entry of ``place`` and its form.

    ``category = "hosting"`` (left out: overall), ``month = "50.00 EUR"``, ``automatic_up_to = "2.00 EUR"``.
    """
    if not isinstance(given, list):
        raise InvalidInput(f"{place}: budgets is not a list: begin each line with [[budgets]]")
    lines = tuple(_read_line(entry, f"{place}: budgets[{number}]") for number, entry in enumerate(given))
    pairs = [(line.category, line.currency) for line in lines]
    for number, pair in enumerate(pairs):
        if pair in pairs[:number]:
            raise InvalidInput(
                f"{place}: budgets[{number}]: there is a line for {lines[number].name} in {pair[1]} already: keep one"
            )
    return lines


def _read_line(entry: Any, where: str) -> BudgetLine:
    if not isinstance(entry, Mapping):
        raise InvalidInput(
            f'{where} is not a table: write category = "hosting" and month = "50.00 EUR" under it'
        )
    if unknown := sorted(set(entry) - set(_KEYS)):
        raise InvalidInput(f"{where}: there is no setting {unknown[0]!r} (known: {', '.join(_KEYS)})")
    if "month" not in entry:
        raise InvalidInput(
            f'{where}: month is missing: write the most per month, such as month = "50.00 EUR"'
        )
    month = _read_amount(entry["month"], f"{where}: month")
    automatic = Money(minor=0, currency=month.currency)
    if "automatic_up_to" in entry:
        automatic = _read_amount(entry["automatic_up_to"], f"{where}: automatic_up_to")
    if automatic.currency != month.currency:
        raise InvalidInput(
            f"{where}: automatic_up_to is in {automatic.currency}, month in {month.currency}: use one"
        )
    category = entry.get("category", OVERALL)
    if not isinstance(category, str):
        raise InvalidInput(f"{where}: category is not a text: write it in quotes")
    try:
        check_category(category)
    except InvalidInput as error:
        raise InvalidInput(f"{where}: category: {error}") from None
    return BudgetLine(
        category=category,
        currency=month.currency,
        month_minor=month.minor,
        automatic_up_to_minor=automatic.minor,
    )


def _read_amount(given: Any, where: str) -> Money:
    try:
        amount = parse_money(given if isinstance(given, str) else repr(given))
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from None
    if amount.minor < 0:
        raise InvalidInput(f"{where}: {given!r} is less than nothing: write a limit of 0 or more")
    return amount

"""What electricity and tokens cost, as the owner's ``[prices]`` say it, and what a step then cost. Pure.

Prices are decimals of the currency's major unit, exact; costs are millionths of it ("micros").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from pydantic import Field, ValidationError

from master.ledger.money import round_half_up
from tasks.errors import InvalidInput
from tasks.record import Record

_JOULES_PER_KWH = 3_600_000
_MICROS = 1_000_000
_DECIMAL = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Z]{3})?\s*")


class TokenPrice(Record):
    """Per million tokens, in the major unit of the prices' currency."""

    prompt: Decimal = Field(default=Decimal(0), ge=0)
    generated: Decimal = Field(default=Decimal(0), ge=0)


class Prices(Record):
    """The owner's prices. The empty ones cost nothing, and nothing is posted."""

    currency: str = Field(default="", pattern=r"^([A-Z]{3})?$")
    #: Of a kilowatt-hour.
    kwh: Decimal = Field(default=Decimal(0), ge=0)
    #: What a machine draws for one step at work: of one that runs four at a time, a quarter.
    watts: Decimal = Field(default=Decimal(0), ge=0)
    #: The same for workers that differ, by name.
    watts_of: dict[str, Decimal] = Field(default_factory=dict)
    #: By model reference; for models whose endpoint does not say what it charges.
    tokens: dict[str, TokenPrice] = Field(default_factory=dict)

    @property
    def set(self) -> bool:
        """Whether anything has a price."""
        return bool(self.currency)

    def energy_micros(self, worker: str, seconds: float) -> int:
        """What one attempt of so many seconds drew on this worker, rounded half up."""
        watts = self.watts_of.get(worker, self.watts)
        # Microseconds are what the database's times are exact to.
        exact_s = Fraction(round(seconds * 1_000_000), 1_000_000)
        joules = Fraction(watts) * max(exact_s, Fraction(0))
        return round_half_up(joules * Fraction(self.kwh) * _MICROS / _JOULES_PER_KWH)

    def token_micros(self, models: Iterable[str], prompt_tokens: int, generated_tokens: int) -> int:
        """What the tokens cost. Where a step asked several models, its tokens are not told apart, and the
        dearest price counts: what is spent is never understated."""
        found = [self.tokens[model] for model in models if model in self.tokens]
        # One unit for a million tokens is one millionth of a unit for each.
        costs = [
            Fraction(price.prompt) * prompt_tokens + Fraction(price.generated) * generated_tokens
            for price in found
        ]
        return round_half_up(max(costs, default=Fraction(0)))


def read_prices(given: Any, place: str) -> Prices:
    """The ``[prices]`` of a policy file. ``InvalidInput`` names the entry of ``place`` and its form.

    ``kwh = "0.25 EUR"`` or ``currency = "EUR"`` and ``kwh = "0.25"``; ``watts = 300``; ``[prices.watts_of]``
    with ``garage = 450``; ``[prices.tokens."MODEL"]`` with ``prompt`` and ``generated`` per million.
    """
    where = f"{place}: prices"
    if not isinstance(given, Mapping):
        raise InvalidInput(f'{where} is not a table: write [prices] and under it kwh = "0.25 EUR"')
    if not given:
        return Prices()
    known = sorted(Prices.model_fields)
    if unknown := sorted(set(given) - set(known)):
        raise InvalidInput(f"{where}: there is no setting {unknown[0]!r} (known: {', '.join(known)})")
    currencies = {str(given["currency"])} if "currency" in given else set[str]()
    plain = _plain({key: value for key, value in given.items() if key != "currency"}, where, currencies)
    if len(currencies) != 1:
        named = " and ".join(sorted(currencies)) or "no currency"
        raise InvalidInput(f'{where} are in {named}: give all in one, with currency = "EUR"')
    try:
        return Prices.model_validate({**plain, "currency": currencies.pop()})
    except ValidationError as error:
        first = error.errors()[0]
        part = ".".join(str(each) for each in first["loc"])
        raise InvalidInput(f"{where}.{part}: {first['msg'].lower()}") from None


def _plain(given: Any, where: str, currencies: set[str]) -> Any:
    """Decimals out of what is written, and the currencies that are named beside them."""
    if isinstance(given, Mapping):
        return {key: _plain(value, f"{where}.{key}", currencies) for key, value in given.items()}
    try:
        if isinstance(given, bool):
            raise InvalidOperation
        found = _DECIMAL.fullmatch(str(given))
        if found is None:
            raise InvalidOperation
        value = Decimal(found[1])
    except InvalidOperation:
        raise InvalidInput(
            f'{where}: {str(given)[:40]!r} is not a price or a number: write it as "0.25 EUR" or 300'
        ) from None
    if found[2]:
        currencies.add(found[2])
    return value

"""Who may decide what, how many, how long, and when to ask: the owner's ``$D8_HOME/policy.toml``, read.

Pure: ``policy_file.py`` reads the file.
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta, tzinfo
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, field_validator

from master.approvals.records import ApprovalType
from master.ledger import BudgetLine, Money, Prices, parse_money
from tasks.errors import InvalidInput
from tasks.record import Record

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DAY_S = 86400


def parse_duration_s(text: Any) -> Any:
    """``"90m"``, ``"12h"``, ``"7d"`` -> seconds."""
    if isinstance(text, str) and (found := re.fullmatch(r"\s*(\d{1,6})\s*([smhdw])\s*", text)):
        return int(found[1]) * _UNITS_S[found[2]]
    raise ValueError(f'{text!r} is not a time such as "90m", "12h" or "7d"')


def _parse_money(text: Any) -> Any:
    if isinstance(text, Money):
        return text
    try:
        return parse_money(str(text))
    except InvalidInput as error:
        raise ValueError(str(error)) from None


def _parse_hours(text: Any) -> Any:
    found = re.fullmatch(r"(\d\d:\d\d)\s*-\s*(\d\d:\d\d)", str(text).strip())
    if found is None:
        raise ValueError(f'{text!r} is not a span of hours such as "22:00-08:00"')
    return {"begin": time.fromisoformat(found[1]), "end": time.fromisoformat(found[2])}


Duration = Annotated[int, BeforeValidator(parse_duration_s)]
Amount = Annotated[Money, BeforeValidator(_parse_money)]


class Hours(Record):
    """A span of the day in the owner's time; it may pass midnight."""

    begin: time
    end: time

    def holds(self, moment: time) -> bool:
        if self.begin <= self.end:
            return self.begin <= moment < self.end
        return moment >= self.begin or moment < self.end


class Tier(Record):
    """What holds for costs above an amount."""

    above: Amount
    quorum: int = Field(default=1, ge=1, le=10)
    #: People or identities; empty: as the type says.
    deciders: tuple[str, ...] = ()


class Rule(Record):
    """What holds for one type of request."""

    #: People of ``[people]``, or identities such as "telegram:4711"; empty: every owner.
    deciders: tuple[str, ...] = ()
    #: How many different people must say yes. One no is a no.
    quorum: int = Field(default=1, ge=1, le=10)
    #: Whether who started a run may say yes to what it asks.
    self_approval: bool = True
    #: Silence for so long is a no.
    expires: Duration = Field(default=7 * _DAY_S, ge=60, le=366 * _DAY_S)
    #: What was approved and not done by then is abandoned.
    execute_within: Duration = Field(default=30 * _DAY_S, ge=60, le=366 * _DAY_S)
    remind_after: tuple[Duration, ...] = (_DAY_S, 3 * _DAY_S)
    #: Then ``escalate_to`` are told, too; without them, nobody is.
    escalate_after: Duration = Field(default=2 * _DAY_S, ge=60)
    #: Telegram user ids.
    escalate_to: tuple[int, ...] = ()
    #: A rejected need that is asked for again within so long gets the same no, and nobody is bothered.
    ask_again_after: Duration = _DAY_S
    tiers: tuple[Tier, ...] = ()


#: Where the file says nothing.
DEFAULT_RULE = Rule()


class Policy(Record):
    """The owner's rules. The empty one asks every owner and lets one of them decide."""

    #: Name -> the identities by which the doors know that person.
    people: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    rules: dict[ApprovalType, Rule] = Field(default_factory=dict)
    time_zone: str = "UTC"
    #: Nobody is asked then, unless it is urgent; empty: there are none.
    quiet_hours: Annotated[Hours | None, BeforeValidator(_parse_hours)] = None
    #: Questions told one by one in a day; the rest wait for the digest.
    daily_questions: int = Field(default=20, ge=0, le=1000)
    #: When what was not told one by one is listed in one message.
    digest_at: time = time(18, 0)
    budgets: tuple[BudgetLine, ...] = ()
    prices: Prices = Prices()

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError(f'{name!r} is no time zone such as "Europe/Madrid"') from None
        return name

    @property
    def zone(self) -> tzinfo:
        return ZoneInfo(self.time_zone)

    def local(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone)

    def month(self, moment: datetime) -> str:
        """The month that budgets count in: ``2026-11``."""
        return f"{self.local(moment):%Y-%m}"

    def rule(self, kind: ApprovalType) -> Rule:
        return self.rules.get(kind, DEFAULT_RULE)

    def tier(self, kind: ApprovalType, cost_minor: int, currency: str) -> Tier:
        """What this cost needs: the highest tier that it passes.

        A cost in a currency that no tier of the type is written in cannot be compared with them, and
        needs what the strictest asks for: a limit must not be escaped by changing the currency.
        """
        rule = self.rule(kind)
        plain = Tier(above=Money(minor=0, currency=currency), quorum=rule.quorum, deciders=rule.deciders)
        if cost_minor == 0 or not rule.tiers:
            return plain
        own = [tier for tier in rule.tiers if tier.above.currency == currency]
        passed = [tier for tier in own if cost_minor > tier.above.minor] if own else list(rule.tiers)
        if not passed:
            return plain
        strictest = max(passed, key=lambda tier: (tier.above.minor if own else tier.quorum, tier.quorum))
        return Tier(
            above=strictest.above,
            quorum=max(rule.quorum, strictest.quorum),
            deciders=strictest.deciders or rule.deciders,
        )

    def person(self, identity: str) -> str:
        """Who that is: a name of ``[people]``, or the identity itself."""
        for name, identities in self.people.items():
            if identity in identities:
                return name
        return identity

    def automatic(self, category: str, cost: Money) -> bool:
        """Whether a budget line lets a payment of this much pass without asking."""
        return any(
            line.category == category
            and line.currency == cost.currency
            and 0 < cost.minor <= line.automatic_up_to_minor
            for line in self.budgets
        )


def expiry(policy: Policy, kind: ApprovalType, asked_s: int | None, now: datetime) -> datetime:
    """When silence becomes a no."""
    return now + timedelta(seconds=policy.rule(kind).expires if asked_s is None else asked_s)

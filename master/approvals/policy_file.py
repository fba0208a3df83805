"""``$D8_HOME/policy.toml``: read when it is needed, and again when it has changed.

time_zone = "America/Santiago"
quiet_hours = "22:00-08:00"
[people]
ana = ["telegram:4711", "token:local-owner"]
[PAYMENT]
expires = "3d"
tiers = [{ above = "100.00 EUR", quorum = 2 }]
[[budgets]]
category = "hosting"
month = "50.00 EUR"
automatic_up_to = "2.00 EUR"
[prices]
kwh = "0.25 EUR"
"""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from master.approvals.policy import Policy
from master.approvals.records import ApprovalType
from master.ledger import read_budgets, read_prices
from tasks.errors import InvalidInput

_TYPES = frozenset(ApprovalType)
#: Rules for every type that does not say otherwise.
_DEFAULTS = "defaults"


@dataclasses.dataclass
class PolicyFile:
    """The owner's rules as the file says them now. Without a file they are the defaults."""

    path: Path
    _read: tuple[tuple[int, int], Policy] | None = None

    def __call__(self) -> Policy:
        """``InvalidInput`` names the place: nothing is decided under rules that cannot be read."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return Policy()
        stamp = (found.st_mtime_ns, found.st_size)
        if self._read is None or self._read[0] != stamp:
            self._read = (stamp, parse_policy(self.path.read_text(encoding="utf-8"), str(self.path)))
        return self._read[1]


def parse_policy(text: str, place: str) -> Policy:
    """The rules in a TOML text. ``InvalidInput`` says which entry of ``place`` is wrong, and how it should look."""
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(
            f"{place} is not TOML ({error}): correct that line; nothing is decided before"
        ) from None
    defaults = given.pop(_DEFAULTS, {})
    rules = {kind: {**defaults, **given.pop(kind, {})} for kind in _TYPES}
    budgets = read_budgets(given.pop("budgets", []), place)
    prices = read_prices(given.pop("prices", {}), place)
    try:
        return Policy.model_validate({**given, "rules": rules, "budgets": budgets, "prices": prices})
    except ValidationError as error:
        raise InvalidInput(f"{place}: {_first(error)}: correct it; nothing is decided before") from None


def _first(error: ValidationError) -> str:
    first: Any = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "rules")
    if first["type"] == "extra_forbidden":
        known = ", ".join([*sorted(Policy.model_fields.keys() - {"rules"}), _DEFAULTS, *sorted(_TYPES)])
        return f"there is no setting {where!r} (known: {known})"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"

"""The engine of a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from master.darwin.engines.generational import Generational
from master.darwin.engines.protocol import Engine, Variation
from master.darwin.engines.rules import Rules
from master.darwin.engines.steady import SteadyState
from tasks.errors import InvalidInput

G = TypeVar("G")


def make_engine(
    name: str, variation: Variation[G], rules: Rules, snapshot: Mapping[str, Any] | None
) -> Engine[G]:
    """A new engine, or the one that made this snapshot."""
    classes: dict[str, type[SteadyState[Any]]] = {"steady": SteadyState, "generational": Generational}
    if name == "gepa":
        # Only here: it takes a tenth of a second to import, and most evolutions do without.
        from master.darwin.engines.gepa import Gepa

        return Gepa(variation, rules) if snapshot is None else Gepa.restore(variation, rules, snapshot)
    if name not in classes:
        raise InvalidInput(f"there is no engine {name!r} here: take one of {', '.join(classes)} or gepa")
    engine = classes[name]
    return engine(variation, rules) if snapshot is None else engine.restore(variation, rules, snapshot)

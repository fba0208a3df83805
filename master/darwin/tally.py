"""What an evolution has spent, and whether it may ask for more. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from master.darwin.engines.protocol import Evaluation, Failed, Outcome


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """What a step cost."""

    #: In millionths of a euro.
    micros: int = 0
    #: Seconds in which a slot was busy with it.
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What this pass may do. The number of trials is the engine's own limit."""

    #: Steps in flight, at most.
    parallel: int
    #: Of the fleet's active workers.
    slots: int
    now: datetime
    #: In millionths of a euro; None: no limit.
    budget_micros: int | None = None
    until: datetime | None = None
    #: Who asked it to stop, or "".
    stopped_by: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """A tell's place."""

    at: int
    asked_after: int


class Tally:
    """Counts asks, tells and cost."""

    def __init__(self) -> None:
        self.told = 0
        self.evaluated = 0
        self.failed = 0
        self.cached = 0
        self.steps = 0
        self.micros = 0
        #: The dearest step so far: what one in flight may cost, too.
        self.dearest_micros = 0
        self.busy_s = 0.0
        self.tokens = 0
        #: Why no more is asked; "" while it is.
        self.why_closed = ""
        #: Ask number -> how many had been told when it was made; of what is not told yet.
        self.asked_after: dict[int, int] = {}

    def next_step(self) -> int:
        self.steps += 1
        return self.steps - 1

    def ask(self, number: int) -> None:
        self.asked_after[number] = self.told

    def tell(self, number: int, outcome: Outcome, *, cached: bool) -> Place:
        place = Place(at=self.told, asked_after=self.asked_after.pop(number))
        self.told += 1
        if isinstance(outcome, Evaluation):
            self.evaluated += 1
            self.cached += cached
            self.tokens += outcome.tokens
        elif isinstance(outcome, Failed):
            self.failed += 1
        return place

    def charge(self, cost: Cost) -> None:
        self.micros += cost.micros
        self.dearest_micros = max(self.dearest_micros, cost.micros)
        self.busy_s += cost.seconds

    def closed(self, limits: Limits, in_flight: int) -> bool:
        """Whether nothing more is asked. Once closed, closed for good: the reason is kept."""
        if not self.why_closed:
            self.why_closed = self._why(limits, in_flight)
        return bool(self.why_closed)

    def _why(self, limits: Limits, in_flight: int) -> str:
        if limits.stopped_by:
            return f"stopped by {limits.stopped_by}"
        if limits.until is not None and limits.now >= limits.until:
            return f"it was to end at {limits.until:%Y-%m-%d %H:%M} UTC"
        # What is in flight will cost something: as much as the dearest step did, to be on the safe side.
        owed = self.micros + (in_flight + 1) * self.dearest_micros
        if limits.budget_micros is not None and (
            owed > limits.budget_micros or self.micros >= limits.budget_micros
        ):
            return f"{self.micros / 1e6:.2f} of {limits.budget_micros / 1e6:.2f} euros are spent"
        return ""

    def dump(self) -> dict[str, Any]:
        return {
            "told": self.told,
            "evaluated": self.evaluated,
            "failed": self.failed,
            "cached": self.cached,
            "steps": self.steps,
            "micros": self.micros,
            "dearest_micros": self.dearest_micros,
            "busy_s": self.busy_s,
            "tokens": self.tokens,
            "why_closed": self.why_closed,
            "asked_after": [list(one) for one in self.asked_after.items()],
        }

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Tally:
        made = cls()
        for name, value in data.items():
            setattr(made, name, dict(value) if name == "asked_after" else value)
        return made

"""The classic: a generation at a time. Pure.

Every generation is as many children as there are in the population, all bred from the same parents; all of
them are awaited, and the best of parents and children are the next parents ("mu + lambda"). It keeps a
fleet waiting for its slowest genome and is here to be compared with, and for whoever wants generations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from master.darwin.engines.protocol import Ask, Variation
from master.darwin.engines.rules import Rules
from master.darwin.engines.steady import SteadyState

G = TypeVar("G")


class Generational(SteadyState[G]):
    """``master.darwin.engines.protocol.Engine``."""

    def __init__(self, variation: Variation[G], rules: Rules) -> None:
        super().__init__(variation, rules)
        #: Candidates of this generation so far, and those that it is bred from.
        self._bred = 0
        self._parents: list[int] = []

    def ask(self) -> Ask[G] | None:
        if self.finished or self._waiting:
            return super().ask()
        if self._bred >= self._rules.population:
            if self._book.pending or self._wishes:
                return None
            self._bred = 0
            self._parents = list(self._population)
        self._bred += 1
        return super().ask()

    def _breeders(self) -> tuple[list[int], list[int]]:
        return self._parents, []

    def _judge(self, candidate: int) -> None:
        self._judge_whole(candidate)

    def _wanted(self) -> set[int]:
        return super()._wanted() | set(self._parents)

    def snapshot(self) -> dict[str, Any]:
        return {**super().snapshot(), "bred": self._bred, "parents": list(self._parents)}

    @classmethod
    def restore(cls, variation: Variation[G], rules: Rules, data: Mapping[str, Any]) -> Generational[G]:
        made = cls(variation, rules)
        made._take_up(data)
        made._bred = data["bred"]
        made._parents = list(data["parents"])
        return made

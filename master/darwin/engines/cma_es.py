"""CMA-ES behind asks and tells: the strategy is the library's, on a worker; here are its books. Pure.

A generation is wished for, tried vector by vector, and told as a whole. A vector whose evaluation failed
counts as the worst of its generation: the strategy goes by ranks alone, and needs all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from master.darwin.engines.book import Book
from master.darwin.engines.protocol import Ask, Evaluation, Failed, Outcome, Proposed, Standing, Trial, Wish
from master.darwin.engines.rules import Rules
from master.darwin.engines.vector import Vector, VectorVariation

#: The best of all that are shown.
_SHOWN = 10
_ONE: tuple[int, ...] = (0,)


class CmaEs:
    """``master.darwin.engines.protocol.Engine`` of real vectors."""

    def __init__(self, variation: VectorVariation, rules: Rules, sigma: float) -> None:
        self._variation = variation
        self._rules = rules
        #: First step size, as a share of the range.
        self._sigma = sigma
        self._book: Book[Vector] = Book(variation, rules.budget)
        #: Losses of the generations that are over.
        self._losses: list[list[float]] = []
        #: Of this one: its vectors, how many were asked, and what each is worth (None: failed).
        self._vectors: list[Any] = []
        self._given = 0
        self._place: dict[int, int] = {}
        self._worth: dict[int, float | None] = {}
        self._wished: int | None = None
        self._over = ""
        self._best: list[int] = []
        self._first: list[int] = []

    def ask(self) -> Ask[Vector] | None:
        if self.finished or self._wished is not None:
            return None
        if self._given < len(self._vectors):
            return self._try()
        if self._book.pending:
            return None
        self._wished = self._book.number()
        return Wish(number=self._wished, kind="cma", request=self._request())

    def _try(self) -> Trial[Vector]:
        number = self._book.number()
        genome = self._variation.load(self._vectors[self._given])
        self._book.admit_proposed(number, genome, by="cma" if self._losses else "seed", best=self._best)
        if not self._losses:
            self._first.append(number)
        self._place[number] = self._given
        self._given += 1
        return self._book.trial(number, number, _ONE)

    def _request(self) -> dict[str, Any]:
        space = self._variation.space
        return {
            "size": space.size,
            "low": space.low,
            "high": space.high,
            "sigma": self._sigma * (space.high - space.low),
            "population": self._rules.population,
            # The library takes 0 for "by the clock".
            "seed": self._rules.seed + 1,
            "losses": self._losses,
        }

    def tell(self, number: int, outcome: Outcome) -> None:
        if number == self._wished:
            self._told_wish(outcome)
            return
        candidate, examples = self._book.told(number)
        place = self._place.pop(candidate)
        if isinstance(outcome, Evaluation):
            self._book.successes += 1
            entry = self._book.entries[candidate]
            entry.learn(examples, outcome)
            self._worth[place] = -entry.mean
            self._best = sorted([*self._best, candidate], key=lambda at: (-self._book.entries[at].mean, at))[
                :_SHOWN
            ]
        else:
            self._book.fail(candidate, outcome.error if isinstance(outcome, Failed) else "no answer")
            self._worth[place] = None
        if len(self._worth) == len(self._vectors):
            self._end_generation()
        self._book.forget({*self._best, *self._first})

    def _told_wish(self, outcome: Outcome) -> None:
        self._wished = None
        self._vectors, self._given, self._worth = [], 0, {}
        if not isinstance(outcome, Proposed):
            self._over = outcome.error if isinstance(outcome, Failed) else "no vectors came"
        elif not outcome.genomes:
            self._over = f"CMA-ES stops: {outcome.note.get('stopped', '')}"
        else:
            self._vectors = list(outcome.genomes)

    def _end_generation(self) -> None:
        known = [loss for loss in self._worth.values() if loss is not None]
        if not known:
            self._over = "not one vector of a generation could be evaluated"
            return
        worst = max(known)
        losses = (self._worth[at] for at in range(len(self._vectors)))
        self._losses.append([math.nextafter(worst, math.inf) if one is None else one for one in losses])

    def open_trial(self, number: int) -> Trial[Vector]:
        return self._book.open_trial(number)

    @property
    def finished(self) -> bool:
        return bool(self._over) or self._book.spent >= self._book.budget

    @property
    def spent(self) -> int:
        return self._book.spent

    @property
    def successes(self) -> int:
        return self._book.successes

    @property
    def failures(self) -> Mapping[int, str]:
        return self._book.failed

    def best(self) -> list[Standing[Vector]]:
        return [self._book.entries[at].standing for at in self._best]

    def leader(self) -> tuple[int, float] | None:
        return (self._best[0], self._book.entries[self._best[0]].mean) if self._best else None

    def first(self) -> list[Standing[Vector]]:
        answered = [self._book.entries[at] for at in self._first if self._book.entries[at].scores]
        return [one.standing for one in sorted(answered, key=lambda one: (-one.mean, one.number))]

    def snapshot(self) -> dict[str, Any]:
        return {
            **self._book.snapshot(),
            "losses": self._losses,
            "vectors": self._vectors,
            "given": self._given,
            "place": [list(one) for one in self._place.items()],
            "worth": [list(one) for one in self._worth.items()],
            "wished": self._wished,
            "over": self._over,
            "population": list(self._best),
            "first": list(self._first),
        }

    @classmethod
    def restore(
        cls, variation: VectorVariation, rules: Rules, sigma: float, data: Mapping[str, Any]
    ) -> CmaEs:
        """The engine that made this snapshot, under the same rules (or a larger budget)."""
        made = cls(variation, rules, sigma)
        made._book.restore(data)
        made._losses = [list(one) for one in data["losses"]]
        made._vectors = list(data["vectors"])
        made._given = data["given"]
        made._place = dict(data["place"])
        made._worth = dict(data["worth"])
        made._wished = data["wished"]
        made._over = data["over"]
        made._best = list(data["population"])
        made._first = list(data["first"])
        return made

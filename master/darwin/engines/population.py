"""What can be seen of an engine that keeps a population."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from master.darwin.engines.book import Book, Entry
from master.darwin.engines.protocol import Standing, Trial

G = TypeVar("G")


class Population(Generic[G]):
    """Looks only; what it looks at belongs to the engine."""

    _book: Book[G]
    #: Candidates that hold a place, best first.
    _population: list[int]
    #: First genomes, kept to compare the best with.
    _first: list[int]

    def open_trial(self, number: int) -> Trial[G]:
        return self._book.open_trial(number)

    @property
    def finished(self) -> bool:
        return self._book.spent >= self._book.budget

    @property
    def spent(self) -> int:
        """Trials asked so far."""
        return self._book.spent

    @property
    def failures(self) -> Mapping[int, str]:
        """The last candidates that failed, and why."""
        return self._book.failed

    @property
    def successes(self) -> int:
        """Trials that were answered."""
        return self._book.successes

    def best(self) -> list[Standing[G]]:
        return [self._book.entries[at].standing for at in self._population]

    def leader(self) -> tuple[int, float] | None:
        if not self._population:
            return None
        entry = self._book.entries[self._population[0]]
        return entry.number, entry.mean

    def first(self) -> list[Standing[G]]:
        """The seeds that answered anything, best first."""
        answered = [
            entry for at in self._first if (entry := self._book.entries.get(at)) is not None and entry.scores
        ]
        return [entry.standing for entry in sorted(answered, key=_seed_order)]


def _seed_order(entry: Entry[Any]) -> tuple[float, int]:
    return (-entry.mean, entry.number)

"""Niches in order, and what can be said about the order. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from master.niches.scoring import Score
from tasks.record import Record


class Niche(Record):
    """One group of keywords in one market, scored."""

    key: str
    market: str
    label: str
    #: Most searched first.
    keywords: tuple[str, ...]
    cohesion: float
    score: Score


class Ranked(Record):
    niche: Niche
    rank: int
    #: The ranks that it could have were all scores anywhere within their intervals.
    best_rank: int
    worst_rank: int

    @property
    def rank_text(self) -> str:
        """``3`` or, where intervals overlap, ``3 (1-5)``."""
        if self.best_rank == self.worst_rank:
            return str(self.rank)
        return f"{self.rank} ({self.best_rank}-{self.worst_rank})"


def rank_niches(niches: Sequence[Niche]) -> tuple[Ranked, ...]:
    """By score, then demand, then label; ranks that intervals leave open are said."""
    ordered = sorted(
        niches, key=lambda niche: (-niche.score.total.middle, -niche.score.demand.middle, niche.label)
    )
    return tuple(
        Ranked(
            niche=niche,
            rank=place,
            best_rank=1 + sum(other.score.total.low > niche.score.total.high for other in niches),
            worst_rank=sum(other.score.total.high >= niche.score.total.low for other in niches),
        )
        for place, niche in enumerate(ordered, start=1)
    )

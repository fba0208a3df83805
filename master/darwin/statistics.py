"""The two formulas behind every claim of a report. Pure.

Sources: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
JASA 22 (1927) 209-212; Q. McNemar, "Note on the sampling error of the difference between
correlated proportions or percentages", Psychometrika 12 (1947) 153-157, in its exact form.
"""

from __future__ import annotations

import dataclasses
import fractions
import math
from collections.abc import Sequence

#: Two-sided 95% of the standard normal distribution.
_Z95 = 1.959963984540054


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interval:
    low: float
    high: float


def wilson(correct: int, total: int, z: float = _Z95) -> Interval:
    """Score interval of a proportion; stays within 0..1 and is honest at 0% and 100%."""
    if not 0 <= correct <= total or total == 0:
        raise ValueError(f"{correct} of {total} is not a proportion")
    share = correct / total
    weight = 1 + z * z / total
    middle = (share + z * z / (2 * total)) / weight
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / weight
    return Interval(low=max(0.0, middle - half), high=min(1.0, middle + half))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Paired:
    """Two classifiers on the same examples."""

    #: Right by the first alone, by the second alone.
    first_only: int
    second_only: int
    #: Two-sided: how often chance alone would part them at least this far.
    p_value: float


def compare(first: Sequence[bool], second: Sequence[bool]) -> Paired:
    """McNemar's exact test: of the examples that only one got right, is half a fair share?"""
    pairs = list(zip(first, second, strict=True))
    first_only = sum(one and not other for one, other in pairs)
    second_only = sum(other and not one for one, other in pairs)
    return Paired(first_only=first_only, second_only=second_only, p_value=sign_test(first_only, second_only))


def sign_test(wins: int, losses: int) -> float:
    """Two-sided exact binomial p-value of so many wins and losses at even odds; 1.0 without any."""
    total = wins + losses
    if total == 0:
        return 1.0
    tail = sum(math.comb(total, at) for at in range(min(wins, losses) + 1))
    # Whole numbers to the end: 2.0**total would overflow at 1,024 pairs.
    return min(1.0, float(fractions.Fraction(2 * tail, 1 << total)))

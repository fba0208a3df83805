"""Exact bounds of weighted means and shares when the weights are known only as ranges. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.record import Record


class Interval(Record):
    """A value known within bounds: ``low <= middle <= high``."""

    low: float
    middle: float
    high: float


def interval(low: float, middle: float, high: float) -> Interval:
    """An interval whose middle lies within it whatever rounding did."""
    low, high = min(low, high), max(low, high)
    return Interval(low=low, middle=min(max(middle, low), high), high=high)


def largest_mean(values: Sequence[float], low: Sequence[float], high: Sequence[float]) -> float | None:
    """Largest weighted mean of ``values`` when weight i is anything within ``low[i]..high[i]``.

    None when all weights may only be 0. A linear-fractional program over a box: its optimum gives
    the upper weight to the values above some cut and the lower weight to the rest (Charnes & Cooper,
    Naval Research Logistics Quarterly 9, 1962), so trying every cut is exact.
    """
    order = sorted(range(len(values)), key=lambda i: -values[i])
    total, weighted = sum(low), sum(w * v for w, v in zip(low, values, strict=True))
    best = weighted / total if total > 0 else None
    for i in order:
        total += high[i] - low[i]
        weighted += (high[i] - low[i]) * values[i]
        if total > 0:
            mean = weighted / total
            best = mean if best is None else max(best, mean)
    return best


def smallest_mean(values: Sequence[float], low: Sequence[float], high: Sequence[float]) -> float | None:
    """Smallest weighted mean, as ``largest_mean``."""
    negated = largest_mean([-value for value in values], low, high)
    return None if negated is None else -negated


def dominance(low: Sequence[float], middle: Sequence[float], high: Sequence[float]) -> Interval | None:
    """Share of the largest weight in the sum, with its exact bounds; None when all may only be 0.

    The Berger-Parker index (Berger & Parker, Science 168, 1970). The largest share gives one weight
    its upper bound and all others their lower one; the smallest caps all at the largest lower bound.
    """
    if sum(high) <= 0:
        return None
    base = sum(low)
    most = max(h / (base - lo + h) for lo, h in zip(low, high, strict=True) if h > 0)
    cap = max(low)
    # With no lower bounds every weight that may be above 0 can be equally small.
    least = cap / sum(min(h, cap) for h in high) if cap > 0 else 1 / sum(h > 0 for h in high)
    total = sum(middle)
    return interval(least, max(middle) / total if total > 0 else most, most)

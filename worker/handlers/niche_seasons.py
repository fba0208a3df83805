"""How searches change: growth over years and seasons within one. Pure functions over numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tasks.niche_analyse import Growth, Keyword, Seasons

Vector = NDArray[np.float64]

#: Growth is reported within these bounds: a keyword that went from 10 to 1,000 says "much".
LOWEST, HIGHEST = -0.95, 9.0

#: The export's yearly changes are used when they cover this share of the searches.
COVERED_SHARE = 0.5


def monthly_totals(keywords: Sequence[Keyword], months: Sequence[str]) -> Vector:
    """Searches of all keywords in each month; empty when no keyword has months."""
    known = [keyword.monthly for keyword in keywords if len(keyword.monthly) == len(months) and months]
    return np.asarray(known, dtype=np.float64).sum(axis=0) if known else np.zeros(0)


def growth(keywords: Sequence[Keyword], totals: Vector) -> Growth | None:
    """Yearly growth by the best basis that the export offers, with a 95% interval."""
    if len(totals) >= 24 and totals[-24:].min() > 0:
        return _two_years(totals)
    if found := _same_month_last_year(keywords):
        return found
    if len(totals) >= 6 and totals.max() > 0:
        return _slope(totals)
    return None


def _two_years(totals: Vector) -> Growth:
    ratios = np.log(totals[-12:] / totals[-24:-12])
    spread = float(stats.t.ppf(0.975, 11) * ratios.std(ddof=1) / np.sqrt(12))
    return _growth(float(ratios.mean()), spread, spread, "two years")


def _same_month_last_year(keywords: Sequence[Keyword]) -> Growth | None:
    known = [k for k in keywords if k.yearly_change is not None and k.volume > 0]
    total = sum(keyword.volume for keyword in keywords)
    covered = sum(keyword.volume for keyword in known)
    if not known or covered < COVERED_SHARE * total:
        return None
    # log1p of the change, kept within the bounds: one keyword that came from nothing counts as x10.
    changes = np.asarray([min(max(k.yearly_change or 0.0, LOWEST), HIGHEST) for k in known])
    logs = np.log1p(changes)
    weights = np.asarray([keyword.volume for keyword in known], dtype=np.float64) / covered
    mean = float((weights * logs).sum())
    return _growth(mean, *(2 * (_weighted_spread(logs, weights, mean),)), "same month last year")


def _weighted_spread(values: Vector, weights: Vector, mean: float) -> float:
    """Half the 95% interval of a weighted mean, with Kish's effective number of values."""
    effective = 1.0 / float((weights**2).sum())
    if effective < 2.0:
        # One keyword has nearly all: its one month may be half or double of what it tells.
        return float(np.log(2.0))
    variance = float((weights * (values - mean) ** 2).sum()) * effective / (effective - 1.0)
    return float(stats.t.ppf(0.975, effective - 1.0) * np.sqrt(variance / effective))


def _slope(totals: Vector) -> Growth:
    """Theil-Sen line through the logarithms (Sen, JASA 63(324), 1968): outliers do not turn it."""
    line = stats.theilslopes(np.log1p(totals), np.arange(len(totals)), alpha=0.95)
    middle, low, high = (float(value) * 12 for value in (line.slope, line.low_slope, line.high_slope))
    return _growth(middle, middle - low, high - middle, "slope")


def _growth(log_middle: float, below: float, above: float, basis: str) -> Growth:
    def fraction(log: float) -> float:
        return round(min(max(float(np.expm1(min(log, 10.0))), LOWEST), HIGHEST), 4)

    return Growth(
        middle=fraction(log_middle),
        low=fraction(log_middle - below),
        high=fraction(log_middle + above),
        basis=basis,
    )


def seasons(totals: Vector, months: Sequence[str], yearly_growth: Growth | None) -> Seasons | None:
    """Seasonality of at least 12 months, after known growth is taken out.

    Strength is the Hoover index of the calendar months (Hoover, "The Measurement of Industrial
    Localization", Review of Economics and Statistics 18(4), 1936): half the mean absolute deviation
    from the mean, relative to it.
    """
    if len(totals) < 12 or totals.sum() <= 0:
        return None
    flat = totals.copy()
    # A slope was fitted to these same months and would take seasons out as growth.
    if yearly_growth is not None and yearly_growth.basis != "slope":
        flat = totals / (1.0 + yearly_growth.middle) ** (np.arange(len(totals)) / 12.0)
    calendar: dict[int, list[float]] = {}
    for month, value in zip(months, flat, strict=True):
        calendar.setdefault(int(month[5:7]), []).append(float(value))
    if len(calendar) < 12:
        return None
    means = {month: sum(values) / len(values) for month, values in calendar.items()}
    mean = sum(means.values()) / 12
    strength = sum(abs(value - mean) for value in means.values()) / (2 * 12 * mean)
    peak = max(sorted(means), key=lambda month: means[month])
    return Seasons(strength=round(strength, 4), peak_month=peak, peak_ratio=round(means[peak] / mean, 3))

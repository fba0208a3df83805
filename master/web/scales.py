"""Values to places in a picture: ranges, ticks, rounding. Pure; for pictures that the server draws."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Scale:
    """Where a value is drawn: ``low`` at ``start``, ``high`` at ``end``, in the picture's units."""

    low: float
    high: float
    start: float
    end: float
    #: Equal steps are equal factors; for values above 0.
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Within the picture, whatever the value."""
        low, high, at = self.low, self.high, value
        if self.logarithmic:
            low, high, at = math.log10(low), math.log10(high), math.log10(max(value, self.low))
        share = (at - low) / (high - low)
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 1)

    @property
    def ticks(self) -> list[tuple[float, float]]:
        """(place, value) of some round values."""
        if self.logarithmic:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            return [(self(10.0**power), 10.0**power) for power in range(first, last + 1)]
        step = _step((self.high - self.low) / 5)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [(self(at * step), round(at * step, 12)) for at in range(first, last + 1)]


def scale_of(values: Sequence[float], start: float, end: float, *, share: bool = False) -> Scale:
    """A scale that has room for all of the values; ``share``: they are parts of 1, shown as such when they
    are far enough apart."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if share and low >= 0 and high <= 1 and high - low > 0.2:
        return Scale(0.0, 1.0, start, end)
    room = (high - low) * 0.08 or max(0.5 if not share else 0.05, abs(high) * 0.1)
    return Scale(low - room, high + room, start, end)


def decades_of(values: Sequence[float], start: float, end: float) -> Scale:
    """A logarithmic scale of whole decades; what is below 1 counts as 1."""
    low = math.floor(math.log10(max(min(values, default=1.0), 1.0)))
    high = max(math.ceil(math.log10(max(max(values, default=10.0), 1.0))), low + 1)
    return Scale(10.0**low, 10.0**high, start, end, logarithmic=True)


def number(value: float) -> str:
    """For an axis: ``0.35``, ``1,200``, ``10 k``, ``2 M``."""
    size = abs(value)
    for factor, unit in ((1e6, "M"), (1e3, "k")):
        if size >= 10 * factor or (size >= factor and value % factor == 0):
            return f"{value / factor:,.4g} {unit}"
    return f"{value:,.0f}" if size >= 100 else f"{value:.3g}"


def _step(about: float) -> float:
    """1, 2 or 5 times a power of ten, near ``about``."""
    power = 10.0 ** math.floor(math.log10(about)) if about > 0 else 1.0
    return next((power * factor for factor in (1, 2, 5) if power * factor >= about * 0.999), power * 10)

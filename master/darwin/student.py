"""Student's t distribution without a numerical library: a Raspberry Pi has none. Pure.

Source: NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov/8.17 (the incomplete
beta function; its continued fraction is 8.17.22) and the t distribution as a beta function,
M. Abramowitz and I. A. Stegun (1964), 26.7.1 with 26.5.
"""

from __future__ import annotations

import functools
import math

_TINY = 1e-300
_ENOUGH = 1e-14
_MOST_TERMS = 500


def upper_tail(t: float, degrees: float) -> float:
    """How often a t value of so many degrees of freedom is above ``t``. Exact to about 1e-12."""
    if degrees <= 0:
        raise ValueError(f"{degrees} degrees of freedom are none")
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    half = 0.5 * _beta_share(degrees / (degrees + t * t), degrees / 2, 0.5)
    return half if t >= 0 else 1.0 - half


@functools.lru_cache(maxsize=4096)
def threshold(tail: float, degrees: int) -> float:
    """The t value that is exceeded with the chance ``tail`` (0..0.5)."""
    if not 0 < tail <= 0.5:
        raise ValueError(f"a tail of {tail} is not above 0 and at most 0.5")
    low, high = 0.0, 1.0
    while upper_tail(high, degrees) > tail:
        low, high = high, high * 2
    for _ in range(80):
        middle = (low + high) / 2
        if upper_tail(middle, degrees) > tail:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _beta_share(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    # The fraction converges fast on this side of the mean only (DLMF 8.17.4 turns it over).
    if x < (a + 1) / (a + b + 2):
        return math.exp(scale) * _fraction(x, a, b) / a
    return 1.0 - math.exp(scale) * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """DLMF 8.17.22, by the method of Lentz (1976), modified by Thompson and Barnett (1986)."""
    value, c, d = 1.0, 1.0, 0.0
    for term in range(1, _MOST_TERMS):
        half = term // 2
        if term % 2:
            part = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            part = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        d = 1.0 + part * d
        d = 1.0 / (d if abs(d) > _TINY else _TINY)
        c = 1.0 + part / c
        c = c if abs(c) > _TINY else _TINY
        value *= c * d
        if abs(c * d - 1.0) < _ENOUGH:
            break
    return 1.0 / value

"""What the held-out examples say, and how sure one may be of it. Pure; chance comes from the seed given.

Sources: Wilson and McNemar as in ``statistics``; Student's t interval for means of graded scores;
B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7 (1979) 1-26, for
figures of a whole set such as macro-F1; E. W. Noreen, "Computer-intensive methods for testing
hypotheses" (1989), for the paired randomization test, as A. Yeh, "More accurate tests for the
statistical significance of result differences" (COLING 2000) uses it for F1; B. Phipson and
G. K. Smyth, "Permutation p-values should never be zero", SAGMB 9 (2010) art. 39, for its p-value.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from master.darwin.statistics import Interval, compare, wilson
from master.darwin.student import threshold

T = TypeVar("T")

#: Chance may part two equal genomes this far once in twenty comparisons; less often counts as better.
SIGNIFICANT = 0.05
_RESAMPLES = 2000
_FLIPS = 10_000
#: So many differences are flipped in every possible way rather than at random: 16,384 ways.
_EXACT = 14
_SMALL = 1e-12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure with its 95% interval."""

    value: float
    low: float
    high: float
    #: "wilson", "t" or "bootstrap".
    method: str
    examples: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Best seed and best of all on the examples that both have answered."""

    seed: Estimate
    best: Estimate
    #: Best minus seed.
    gain: float
    gain_low: float
    gain_high: float
    #: Two-sided: how often chance alone would part two equals at least this far.
    p_value: float
    #: "mcnemar", "permutation" or "randomization".
    test: str
    #: Examples on which only one did better.
    only_best: int
    only_seed: int

    @property
    def better(self) -> bool:
        """Whether the gain is more than chance explains."""
        return self.gain > 0 and self.p_value < SIGNIFICANT

    @property
    def text(self) -> str:
        """One or two sentences that claim no more than the comparison shows."""
        figures = (
            f"the best genome scores {_percent(self.best)} on {self.best.examples} held-out examples, the best "
            f"seed {_percent(self.seed)}; p = {self.p_value:.2g}"
        )
        if self.better:
            return f"Better: {figures}."
        if self.gain > 0:
            return f"Not shown to be better: {figures}, a difference that chance may explain."
        return f"Not better: {figures}. What it gained in selection did not carry over."


def _percent(one: Estimate) -> str:
    return f"{one.value:.1%} ({one.low:.1%} to {one.high:.1%})"


def estimate(scores: Sequence[float]) -> Estimate:
    """Mean of scores of 0..1 with its interval: Wilson's if all are right or wrong, else Student's t.

    Equal graded scores have no spread to go by; a score within 0..1 spreads at most as a proportion
    of the same mean, so Wilson's interval is on the safe side there.
    """
    _check(scores)
    count, total = len(scores), math.fsum(scores)
    value = total / count
    spread = math.fsum((one - value) ** 2 for one in scores)
    graded = not _binary(scores)
    if graded and count > 1 and spread > _SMALL:
        half = threshold(0.025, count - 1) * math.sqrt(spread / (count - 1) / count)
        return Estimate(
            value=value, low=max(0.0, value - half), high=min(1.0, value + half), method="t", examples=count
        )
    if not graded:
        interval = wilson(round(total), count)
        return Estimate(value=value, low=interval.low, high=interval.high, method="wilson", examples=count)
    # The proportion nearest on either side: the formula wants whole numbers.
    low, high = wilson(math.floor(total), count).low, wilson(math.ceil(total), count).high
    return Estimate(value=value, low=low, high=high, method="wilson", examples=count)


def compare_scores(seed: Sequence[float], best: Sequence[float], chance: random.Random) -> Comparison:
    """Means of the same examples' scores, in the same order. McNemar's exact test for right and wrong,
    a permutation test for graded scores (exact for few differences)."""
    pairs = list(zip(seed, best, strict=True))
    if not pairs:
        raise ValueError("no example was answered by both: there is nothing to compare")
    gains = [other - one for one, other in pairs]
    if _binary(seed) and _binary(best):
        p_value, test = compare([one > 0 for one in seed], [one > 0 for one in best]).p_value, "mcnemar"
    else:
        p_value, test = permutation_test(gains, chance), "permutation"
    interval = _mean_interval(gains)
    return Comparison(
        seed=estimate(seed),
        best=estimate(best),
        gain=math.fsum(gains) / len(gains),
        gain_low=interval.low,
        gain_high=interval.high,
        p_value=p_value,
        test=test,
        only_best=sum(gain > 0 for gain in gains),
        only_seed=sum(gain < 0 for gain in gains),
    )


def compare_sets(
    seed: Sequence[T], best: Sequence[T], figure: Callable[[Sequence[T]], float], chance: random.Random
) -> Comparison:
    """A figure of whole sets of answers, such as macro-F1: bootstrap intervals of the examples, and a
    randomization test that exchanges the two answers to an example by the toss of a coin."""
    pairs = list(zip(seed, best, strict=True))
    if not pairs:
        raise ValueError("no example was answered by both: there is nothing to compare")
    count, observed = len(pairs), (figure(seed), figure(best))
    draws = [chance.choices(range(count), k=count) for _ in range(_RESAMPLES)]
    seeds = [figure([seed[at] for at in draw]) for draw in draws]
    bests = [figure([best[at] for at in draw]) for draw in draws]
    gain = observed[1] - observed[0]
    gains = [other - one for one, other in zip(seeds, bests, strict=True)]
    at_least = sum(_exchanged(pairs, figure, chance) >= abs(gain) - _SMALL for _ in range(_RESAMPLES))
    interval = _percentiles(gains)
    return Comparison(
        seed=_bootstrapped(observed[0], seeds, count),
        best=_bootstrapped(observed[1], bests, count),
        gain=gain,
        gain_low=interval.low,
        gain_high=interval.high,
        p_value=(at_least + 1) / (_RESAMPLES + 1),
        test="randomization",
        only_best=sum(figure([other]) > figure([one]) for one, other in pairs),
        only_seed=sum(figure([other]) < figure([one]) for one, other in pairs),
    )


def permutation_test(gains: Sequence[float], chance: random.Random) -> float:
    """Two-sided p-value of the mean gain, had each gain been as likely a loss of the same size."""
    sizes = [abs(gain) for gain in gains if abs(gain) > _SMALL]
    bound = abs(math.fsum(gains)) - _SMALL
    if not sizes:
        return 1.0
    if len(sizes) <= _EXACT:
        signs = itertools.product((1, -1), repeat=len(sizes))
        extreme = sum(
            abs(math.fsum(sign * size for sign, size in zip(one, sizes, strict=True))) >= bound
            for one in signs
        )
        return float(extreme / 2 ** len(sizes))
    extreme = sum(_flipped(sizes, chance) >= bound for _ in range(_FLIPS))
    return (extreme + 1) / (_FLIPS + 1)


def _flipped(sizes: Sequence[float], chance: random.Random) -> float:
    bits = chance.getrandbits(len(sizes))
    return abs(math.fsum(size if bits >> at & 1 else -size for at, size in enumerate(sizes)))


def _exchanged(
    pairs: Sequence[tuple[T, T]], figure: Callable[[Sequence[T]], float], chance: random.Random
) -> float:
    bits = chance.getrandbits(len(pairs))
    one = [pair[bits >> at & 1] for at, pair in enumerate(pairs)]
    other = [pair[1 - (bits >> at & 1)] for at, pair in enumerate(pairs)]
    return abs(figure(one) - figure(other))


def _mean_interval(gains: Sequence[float]) -> Interval:
    count = len(gains)
    middle = math.fsum(gains) / count
    if count < 2:
        return Interval(low=-1.0, high=1.0)
    variance = math.fsum((gain - middle) ** 2 for gain in gains) / (count - 1)
    half = threshold(0.025, count - 1) * math.sqrt(variance / count)
    return Interval(low=max(-1.0, middle - half), high=min(1.0, middle + half))


def _bootstrapped(value: float, resampled: Sequence[float], count: int) -> Estimate:
    interval = _percentiles(resampled)
    return Estimate(value=value, low=interval.low, high=interval.high, method="bootstrap", examples=count)


def _percentiles(values: Sequence[float]) -> Interval:
    ordered = sorted(values)
    last = len(ordered) - 1
    return Interval(low=ordered[round(0.025 * last)], high=ordered[round(0.975 * last)])


def _binary(scores: Sequence[float]) -> bool:
    return all(one in (0.0, 1.0) for one in scores)


def _check(scores: Sequence[float]) -> None:
    if not scores:
        raise ValueError("no example was answered: there is nothing to estimate")
    if wrong := [one for one in scores if not 0 <= one <= 1]:
        raise ValueError(f"scores must be within 0..1, and one is {wrong[0]}")

"""What a niche is worth, 0..100, from its evidence, with an interval and reasons. Pure.

Seven parts, each 0..1, are weighted and added, so that every point of a score can be traced to a
number in the export. Each part rises or falls with one quantity; where that is known only within
bounds, so is the part, and the score's interval is the sum of all parts at their worst and at their
best. It therefore contains the score of every set of exact numbers within the given ranges.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from master.niches.bounds import Interval, dominance, interval, largest_mean, smallest_mean
from master.niches.keywords import KeywordRow
from master.niches.markets import EUR_PER_UNIT, Market
from master.niches.numbers import exponent
from tasks.errors import InvalidInput
from tasks.niche_analyse import Probabilities, Result
from tasks.record import Record

#: Points that each part can give; they sum to 100.
POINTS = {
    "demand": 30,
    "growth": 15,
    "steadiness": 10,
    "openness": 15,
    "bid value": 15,
    "intent": 10,
    "breadth": 5,
}

#: Searches a month that earn no points for demand, and all of them.
LEAST_DEMAND, MOST_DEMAND = 100, 100_000
#: Euros a click that earn no points, and all of them.
LEAST_BID_EUR, MOST_BID_EUR = 0.05, 10.0
#: What a search is worth to a seller by its intent, in the order of ``INTENTS``. Judgments: buyers
#: 1, people comparing nearly so, people learning are reachable but early, and people on their way
#: to another company are not.
INTENT_WORTH: Probabilities = (0.3, 0.8, 1.0, 0.1)
#: A demand carried over from another country may be off by this factor either way.
CARRIED_FACTOR = 3.0


class Part(Record):
    name: str
    #: Points that it can give at most.
    of: int
    points: Interval
    #: One line for people: the number behind it.
    reason: str


class Score(Record):
    total: Interval
    parts: tuple[Part, ...]
    #: Searches a month.
    demand: Interval
    #: Volume-weighted competition, 0..1.
    competition: Interval


def score(rows: Sequence[KeywordRow], analysis: Result, market: Market, home: Market, language: str) -> Score:
    """The score in ``market`` of a niche whose export was taken in ``home`` by searches in ``language``."""
    low, middle, high = _volumes(rows, market, home, language)
    demand = Interval(low=sum(low), middle=sum(middle), high=sum(high))
    competition = _competition(rows, low, middle, high)
    parts = (
        _demand(demand, market, home),
        _growth(analysis),
        _steadiness(analysis),
        _openness(competition),
        _bid_value(rows, low, high, market, home),
        _intent(analysis, low, middle, high),
        _breadth(rows, low, middle, high),
    )
    total = Interval(
        low=round(sum(part.points.low for part in parts), 2),
        middle=round(sum(part.points.middle for part in parts), 2),
        high=round(sum(part.points.high for part in parts), 2),
    )
    return Score(total=total, parts=parts, demand=demand, competition=competition)


def middle_volume(row: KeywordRow) -> float:
    """The middle of a range of searches: geometric, since the ranges are decades; ``low`` 0 counts as 1."""
    if row.volume_low == row.volume_high:
        return float(row.volume_low)
    return max(math.sqrt(max(row.volume_low, 1) * row.volume_high), float(row.volume_low))


def _volumes(
    rows: Sequence[KeywordRow], market: Market, home: Market, language: str
) -> tuple[list[float], list[float], list[float]]:
    scale, unsure = 1.0, 1.0
    if market.key != home.key:
        scale = market.audience_millions(language) / home.audience_millions(language)
        unsure = CARRIED_FACTOR
    return (
        [row.volume_low * scale / unsure for row in rows],
        [middle_volume(row) * scale for row in rows],
        [row.volume_high * scale * unsure for row in rows],
    )


def _weights(low: Sequence[float], high: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    """The bounds of the weights; where nothing is searched all keywords weigh the same."""
    return (low, high) if sum(high) > 0 else ([1.0] * len(low), [1.0] * len(high))


def _part(name: str, share: Interval, reason: str) -> Part:
    of = POINTS[name]
    points = [round(of * min(max(value, 0.0), 1.0), 4) for value in (share.low, share.middle, share.high)]
    return Part(
        name=name, of=of, points=Interval(low=points[0], middle=points[1], high=points[2]), reason=reason
    )


def _demand(demand: Interval, market: Market, home: Market) -> Part:
    """Logarithmic: ten times the searches is worth a fixed step, as searches are spread by Zipf's law."""

    def share(searches: float) -> float:
        return math.log(max(searches, LEAST_DEMAND) / LEAST_DEMAND) / math.log(MOST_DEMAND / LEAST_DEMAND)

    reason = f"{_count(demand.middle)} searches a month"
    if demand.low != demand.high:
        reason += f" ({_count(demand.low)} to {_count(demand.high)})"
    if market.key != home.key:
        reason += f", carried over from {home.name} by the size of the audience"
    return _part("demand", _mapped(demand, share), reason)


def _growth(analysis: Result) -> Part:
    """Half the points for no change; doubling or halving within a year moves by about 30%."""
    if analysis.growth is None:
        return _part("growth", Interval(low=0, middle=0.5, high=1), "growth not known: too few months")
    found = analysis.growth
    share = _mapped(
        Interval(low=found.low, middle=found.middle, high=found.high),
        lambda change: 0.5 + 0.5 * math.tanh(math.log1p(change)),
    )
    return _part(
        "growth",
        share,
        f"{found.middle:+.0%} a year ({found.low:+.0%} to {found.high:+.0%}, by {found.basis})",
    )


def _steadiness(analysis: Result) -> Part:
    """What is left of 1 after the share of searches that seasons move (Hoover index)."""
    seasons = analysis.seasons
    if seasons is None:
        return _part("steadiness", Interval(low=0, middle=0.7, high=1), "seasons not known: no 12 months")
    steady = 1 - seasons.strength
    peak = f"{MONTH_NAMES[seasons.peak_month - 1]} has {seasons.peak_ratio:.1f} times the mean month"
    return _part("steadiness", Interval(low=steady, middle=steady, high=steady), peak)


MONTH_NAMES = "January February March April May June July August September October November December".split()


def _competition(
    rows: Sequence[KeywordRow], low: Sequence[float], middle: Sequence[float], high: Sequence[float]
) -> Interval:
    bounds = _weights(low, high)
    least = smallest_mean([row.competition_low for row in rows], *bounds)
    most = largest_mean([row.competition_high for row in rows], *bounds)
    if least is None or most is None:
        return Interval(low=0, middle=0.5, high=1)
    centers = [(row.competition_low + row.competition_high) / 2 for row in rows]
    return interval(least, _mean(centers, middle), most)


def _openness(competition: Interval) -> Part:
    share = Interval(low=1 - competition.high, middle=1 - competition.middle, high=1 - competition.low)
    reason = f"advertisers' competition {competition.middle:.0%}"
    if competition.high - competition.low > 0.005:
        reason += f" ({competition.low:.0%} to {competition.high:.0%})"
    return _part("openness", share, reason)


def _bid_value(
    rows: Sequence[KeywordRow], low: Sequence[float], high: Sequence[float], market: Market, home: Market
) -> Part:
    """What advertisers pay for a click: they keep paying only for visitors who bring more than that.

    Carried to another market by its purchasing factor.
    """
    known = [
        i for i, row in enumerate(rows) if row.bid_low_minor is not None and row.bid_high_minor is not None
    ]
    factor = market.purchasing_factor / home.purchasing_factor
    cheap = [_eur(rows[i], rows[i].bid_low_minor or 0) * factor for i in known]
    dear = [_eur(rows[i], rows[i].bid_high_minor or 0) * factor for i in known]
    bounds = _weights([low[i] for i in known], [high[i] for i in known])
    least, most = (
        smallest_mean(cheap, *bounds),
        largest_mean(dear, *bounds),
    )
    if least is None or most is None:
        return _part("bid value", Interval(low=0, middle=0.3, high=1), "no bids in the export")
    bids = interval(least, math.sqrt(max(least, 0.001) * max(most, 0.001)), most)
    span = math.log(MOST_BID_EUR / LEAST_BID_EUR)
    share = _mapped(bids, lambda eur: math.log(max(eur, LEAST_BID_EUR) / LEAST_BID_EUR) / span)
    return _part("bid value", share, f"bids of {least:.2f} to {most:.2f} EUR a click")


def _eur(row: KeywordRow, minor: int) -> float:
    if row.currency not in EUR_PER_UNIT:
        raise InvalidInput(
            f"{row.place}: bids are in {row.currency[:8]!r}, for which there is no reference rate: export in "
            f"one of {', '.join(sorted(EUR_PER_UNIT))}"
        )
    return float(minor) / float(10 ** exponent(row.currency)) * EUR_PER_UNIT[row.currency]


def _intent(analysis: Result, low: Sequence[float], middle: Sequence[float], high: Sequence[float]) -> Part:
    """What the searches are worth by their intent; rules and model apart give the bounds."""
    opinions = [
        [_worth(p) for p in (found.combined, found.by_rule, found.by_model) if p is not None]
        for found in analysis.intents
    ]
    bounds = _weights(low, high)
    least = smallest_mean([min(worths) for worths in opinions], *bounds)
    most = largest_mean([max(worths) for worths in opinions], *bounds)
    if least is None or most is None:
        return _part("intent", Interval(low=0, middle=0.5, high=1), "intent not known: no keywords")
    share = interval(least, _mean([worths[0] for worths in opinions], middle), most)
    buying = _mean([found.combined[1] + found.combined[2] for found in analysis.intents], middle)
    reason = f"{buying:.0%} of searches compare or buy"
    if analysis.agreement is not None:
        reason += f"; rules and model agree on {analysis.agreement:.0%} of what both judged"
    return _part("intent", share, reason)


def _worth(probabilities: Probabilities) -> float:
    return sum((p * worth for p, worth in zip(probabilities, INTENT_WORTH, strict=True)), 0.0)


def _breadth(
    rows: Sequence[KeywordRow], low: Sequence[float], middle: Sequence[float], high: Sequence[float]
) -> Part:
    """A niche that rests on one keyword is fragile: 1 less that keyword's share."""
    top = dominance(low, middle, high)
    if top is None:
        return _part("breadth", Interval(low=0, middle=0, high=0), "no searches")
    share = Interval(low=1 - top.high, middle=1 - top.middle, high=1 - top.low)
    return _part(
        "breadth", share, f"the largest of {len(rows)} keywords has {top.middle:.0%} of the searches"
    )


def _mapped(values: Interval, function: Callable[[float], float]) -> Interval:
    return interval(function(values.low), function(values.middle), function(values.high))


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    total = sum(weights)
    if total <= 0:
        return sum(values) / len(values)
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / total


def _count(value: float) -> str:
    return f"{value:,.0f}"

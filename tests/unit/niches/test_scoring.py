"""Scores: what moves them, what their intervals contain, how ranks are told."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.niches.bounds import dominance, largest_mean, smallest_mean
from master.niches.domain import LONGEST, propose_domains
from master.niches.markets import MARKETS, get_market
from master.niches.ranking import Niche, rank_niches
from master.niches.scoring import POINTS, Score, middle_volume, score
from tasks.errors import InvalidInput, NotFound
from tests.unit.niches.fakes import analysis, row

SPAIN, MEXICO = get_market("spain"), get_market("mexico")


def scored(rows: list, **evidence: object) -> Score:  # type: ignore[type-arg]
    texts = [one.text for one in rows]
    return score(rows, analysis(texts, **evidence), SPAIN, SPAIN, "es")  # type: ignore[arg-type]


def test_points_sum_to_a_hundred() -> None:
    assert sum(POINTS.values()) == 100


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_more_searches_never_score_less(volume: int, more: int) -> None:
    assert scored([row(low=volume + more)]).total.middle >= scored([row(low=volume)]).total.middle


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_competition_never_scores_more(one: float, other: float) -> None:
    low, high = sorted((one, other))
    easy = scored([row(competition_low=low, competition_high=low)])
    hard = scored([row(competition_low=high, competition_high=high)])
    assert hard.total.middle <= easy.total.middle


def test_growth_bids_steadiness_and_buyers_each_raise_the_score() -> None:
    base = scored([row()]).total.middle
    assert scored([row()], growth=0.5).total.middle > base
    assert scored([row()], strength=0.6).total.middle < base
    assert scored([row(bid_low_minor=200, bid_high_minor=400)]).total.middle > base
    assert scored([row()], intent=(0.9, 0.05, 0.03, 0.02)).total.middle < base


RANGES = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 5000), st.floats(0, 1), st.integers(1, 900)),
    min_size=1,
    max_size=5,
)


@given(RANGES, st.data())
def test_the_interval_contains_the_score_of_any_numbers_in_the_ranges(
    ranges: list[tuple[int, int, float, int]], data: st.DataObject
) -> None:
    wide, exact = [], []
    for number, (low, extra, competition, bid) in enumerate(ranges):
        fields = {"competition_low": competition, "competition_high": competition}
        volume = data.draw(st.integers(low, low + extra))
        bids = {"bid_low_minor": bid, "bid_high_minor": bid * 2}
        wide.append(row(f"k{number}", low, low + extra, **fields, **bids))
        exact.append(row(f"k{number}", volume, volume, **fields, **bids))
    whole, one = scored(wide).total, scored(exact).total
    # Points are rounded to 4 digits in each of seven parts.
    assert whole.low - 0.02 <= one.low
    assert one.high <= whole.high + 0.02
    assert whole.low <= whole.middle <= whole.high


WEIGHTS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(-5, 5)), min_size=1, max_size=5
)


@given(WEIGHTS)
def test_bounds_of_weighted_means_are_those_of_all_corners(given_: list[tuple[int, int, int]]) -> None:
    low = [float(weight) for weight, _, _ in given_]
    high = [float(weight + extra) for weight, extra, _ in given_]
    values = [float(value) for _, _, value in given_]
    corners = [
        sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
        for weights in itertools.product(*zip(low, high, strict=True))
        if sum(weights) > 0
    ]
    most, least = largest_mean(values, low, high), smallest_mean(values, low, high)
    if not corners:
        assert most is None
        assert least is None
        return
    assert most == pytest.approx(max(corners))
    assert least == pytest.approx(min(corners))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=4), st.data())
def test_the_largest_share_lies_within_its_bounds(ranges: list[tuple[int, int]], data: st.DataObject) -> None:
    low = [float(weight) for weight, _ in ranges]
    high = [float(weight + extra) for weight, extra in ranges]
    drawn = [data.draw(st.floats(lo, hi)) for lo, hi in zip(low, high, strict=True)]
    found = dominance(low, drawn, high)
    if sum(drawn) > 0.01:
        assert found is not None
        assert found.low - 1e-9 <= max(drawn) / sum(drawn) <= found.high + 1e-9


def test_the_middle_of_a_decade_is_geometric() -> None:
    assert middle_volume(row(low=100, high=1000)) == pytest.approx(316.2, abs=0.1)
    assert middle_volume(row(low=0, high=10)) == pytest.approx(3.16, abs=0.01)


def test_a_market_without_its_own_export_is_less_certain() -> None:
    rows = [row()]
    evidence = analysis(["pan"])
    home = score(rows, evidence, SPAIN, SPAIN, "es")
    carried = score(rows, evidence, MEXICO, SPAIN, "es")
    assert carried.total.high - carried.total.low > home.total.high - home.total.low
    assert "carried over from Spain" in carried.parts[0].reason
    german = score(rows, evidence, get_market("germany"), SPAIN, "es")
    assert german.demand.middle < home.demand.middle / 10


def test_an_unknown_currency_is_refused_with_its_place() -> None:
    with pytest.raises(InvalidInput, match=r"f.csv:1: bids are in 'XXX'"):
        scored([row(currency="XXX")])


def niche(label: str, low: int, high: int) -> Niche:
    return Niche(
        key=label,
        market="spain",
        label=label,
        keywords=(label,),
        cohesion=1.0,
        score=scored([row(label, low, high)]),
    )


def test_niches_are_ranked_and_open_ranks_are_said() -> None:
    ranked = rank_niches([niche("low", 10, 10), niche("wide", 2000, 90_000), niche("mid", 5000, 5000)])
    texts = {one.niche.label: one.rank_text for one in ranked}
    assert texts["low"] == "3"
    assert texts["wide"].endswith("(1-2)")
    assert texts["mid"].endswith("(1-2)")


def test_ranks_do_not_depend_on_the_order_of_niches() -> None:
    niches = [niche(label, 1000, 1000) for label in "abc"]
    assert rank_niches(niches) == rank_niches(niches[::-1])


def test_markets_are_found_by_other_names_and_near_misses_are_offered() -> None:
    assert get_market(" España ").key == "spain"
    with pytest.raises(NotFound, match="Did you mean 'germany'"):
        get_market("germny")
    with pytest.raises(NotFound, match="argentina, chile"):
        get_market("atlantis")


@given(st.text(max_size=60), st.sampled_from(sorted(MARKETS)))
def test_proposed_domains_are_valid_and_short(label: str, market: str) -> None:
    names = propose_domains(label, get_market(market))
    assert len({one.name for one in names}) == len(names) <= 5
    for one in names:
        name = one.name.split(".")[0]
        assert name.isascii()
        assert name.isalnum()
        assert name == name.lower()
        assert len(name) <= LONGEST
        assert one.cost_minor > 0


def test_a_domain_has_the_words_of_the_niche_and_the_countrys_ending() -> None:
    names = [one.name for one in propose_domains("cerradura inteligente", SPAIN)]
    assert names[0].endswith(".es")
    assert all("cerradura" in name for name in names)
    assert propose_domains("日本", SPAIN) == ()

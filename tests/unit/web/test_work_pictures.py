"""The pictures of evolutions and niches: places that are right, whatever the values."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.darwin.reading import Ancestor, Point
from master.niches.bounds import Interval
from master.niches.ranking import Niche, Ranked, rank_niches
from master.niches.scoring import POINTS, Part, Score
from master.web.darwin import pictures
from master.web.niches import pictures as maps
from master.web.scales import Scale, decades_of, number, scale_of

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def point(
    told: int, score: float | None, best: float | None, *, at_s: float = 0, seconds: float = 1
) -> Point:
    return Point(
        told=told,
        candidate=told,
        kind="failed" if score is None else "evaluated",
        score=score,
        best=best,
        tokens=1,
        seconds=seconds,
        cached=False,
        at=NOW + timedelta(seconds=at_s),
    )


def test_the_best_is_level_until_there_is_a_better_one() -> None:
    points = [point(0, 0.2, 0.2), point(1, 0.1, 0.2), point(2, None, 0.2), point(3, 0.9, 0.9)]
    drawn = pictures.fitness(points)
    assert drawn is not None
    assert re.fullmatch(r"M60(\.0)? [\d.]+H1064(\.0)?V[\d.]+H1064(\.0)?", drawn["line"])
    assert len(drawn["dots"]) == 3
    assert len(drawn["failed"]) == 1
    assert pictures.fitness([point(0, None, None)]) is None


def test_a_fleet_that_was_busy_all_the_time_is_drawn_full_and_an_idle_half_empty() -> None:
    busy = [point(at, 0.5, 0.5, at_s=at + 1, seconds=1) for at in range(100)]
    drawn = pictures.use_of_fleet(busy, slots=1)
    assert drawn is not None
    assert drawn["mean"] == pytest.approx(1.0, abs=0.01)
    idle = [point(at, 0.5, 0.5, at_s=2 * (at + 1), seconds=1) for at in range(100)]
    half = pictures.use_of_fleet(idle, slots=1)
    assert half is not None
    assert half["mean"] == pytest.approx(0.5, abs=0.02)
    assert not half["sampled"]
    # Every tenth stands for ten.
    sample = [point(10 * at, 0.5, 0.5, at_s=10 * at + 1, seconds=1) for at in range(100)]
    drawn = pictures.use_of_fleet(sample, slots=1)
    assert drawn is not None
    assert drawn["sampled"]
    assert drawn["mean"] == pytest.approx(1.0, abs=0.05)


def test_the_front_has_those_that_none_beats_in_both_of_the_chosen_values() -> None:
    population = [
        {"id": name, "score": score, "tokens": tokens, "seconds": 1.0, "objectives": []}
        for name, score, tokens in (("a", 0.9, 100), ("b", 0.5, 10), ("c", 0.4, 50), ("d", 0.5, 10))
    ]
    axes = pictures.axes_of(population, ())
    assert list(axes) == ["score", "tokens"], "equal seconds are no axis"
    drawn = pictures.front(population, axes, "score", "tokens")
    assert drawn is not None
    assert {mark["one"]["id"] for mark in drawn["marks"] if mark["front"]} == {"a", "b", "d"}


def test_a_goal_that_is_to_be_small_is_shown_as_it_is_and_is_better_when_small() -> None:
    population = [{"id": "a", "objectives": [-1.0, -5.0]}, {"id": "b", "objectives": [-2.0, -6.0]}]
    axes = pictures.axes_of(population, ("min", "min"))
    drawn = pictures.front(population, axes, "goal 1", "goal 2")
    assert drawn is not None
    assert {mark["one"]["id"]: (mark["values"], mark["front"]) for mark in drawn["marks"]} == {
        "a": ((1.0, 5.0), True),
        "b": ((2.0, 6.0), False),
    }


def ancestor(number_: int, *parents: int) -> Ancestor:
    return Ancestor(number=number_, digest="d", genome=None, parents=parents, operators=("x",))


def test_every_ancestor_stands_right_of_its_parents_and_none_on_another() -> None:
    members = [
        ancestor(0),
        ancestor(1),
        ancestor(4, 0, 1),
        ancestor(7, 4, 4),
        ancestor(9, 7, 1),
        ancestor(11, 99),
    ]
    drawn = pictures.family_tree([(one, (0.5, 1)) for one in members], 9, 4)
    place = {node["one"].number: (node["x"], node["y"]) for node in drawn["nodes"]}
    assert len(set(place.values())) == len(members)
    for one in members:
        assert all(place[parent][0] < place[one.number][0] for parent in one.parents if parent in place)
    assert len(drawn["edges"]) == 5
    assert max(x for x, _ in place.values()) < drawn["width"]
    assert max(y for _, y in place.values()) < drawn["height"]


def niche(key: str, demand: tuple[float, float, float], score: tuple[float, float, float]) -> Niche:
    def between(low: float, middle: float, high: float) -> Interval:
        return Interval(low=low, middle=middle, high=high)

    parts = tuple(
        Part(name=name, of=of, points=between(0, of / 2, of), reason="because") for name, of in POINTS.items()
    )
    total = Score(
        total=between(*score), parts=parts, demand=between(*demand), competition=between(0.2, 0.4, 0.6)
    )
    return Niche(key=key, market="spain", label=f"niche {key}", keywords=(key,), cohesion=0.5, score=total)


def ranked(count: int) -> tuple[Ranked, ...]:
    return rank_niches(
        [niche(f"g{at}", (10, 10.0 ** (at % 5 + 1), 1e6), (20, 60, 90)) for at in range(count)]
    )


@pytest.mark.parametrize("x", list(maps.AXES))
@pytest.mark.parametrize("y", list(maps.AXES))
def test_every_niche_lies_inside_the_map_by_whatever_it_is_laid_out(x: str, y: str) -> None:
    x, y = maps.axes_of(x, y)
    assert x != y
    drawn = maps.opportunity_map(ranked(30), x, y, "g3")
    assert drawn is not None
    for mark in drawn["marks"]:
        assert maps.LEFT <= mark["across"][0] <= mark["x"] <= mark["across"][1] <= maps.RIGHT
        assert maps.TOP <= mark["upwards"][1] <= mark["y"] <= mark["upwards"][0] <= maps.BOTTOM
    assert sum(mark["chosen"] for mark in drawn["marks"]) == 1


def test_names_on_the_map_lie_on_no_other_name() -> None:
    drawn = maps.opportunity_map(ranked(40), "searches", "competition", "")
    assert drawn is not None
    named = [
        (m["name_x"], m["name_x"] + 7.4 * len(m["name"]), m["name_y"]) for m in drawn["marks"] if m["name"]
    ]
    assert named
    for at, (start, end, y) in enumerate(named):
        for other_start, other_end, other_y in named[:at]:
            assert abs(y - other_y) >= 15 or start >= other_end or end <= other_start


def test_a_map_of_nothing_is_none() -> None:
    assert maps.opportunity_map((), "searches", "competition", "") is None


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20))
def test_a_scale_has_room_for_its_values_and_ticks_within_it(values: list[float]) -> None:
    scale = scale_of(values, 0, 100)
    assert all(0 <= scale(value) <= 100 for value in values)
    assert 1 <= len(scale.ticks) <= 12
    assert all(0 <= place <= 100 and math.isfinite(value) for place, value in scale.ticks)


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=20))
def test_decades_begin_and_end_at_round_numbers(values: list[float]) -> None:
    scale = decades_of(values, 0, 100)
    assert scale.ticks[0][0] == 0
    assert scale.ticks[-1][0] == 100
    assert all(0 <= scale(value) <= 100 for value in values)


def test_numbers_of_an_axis_are_short() -> None:
    assert [number(value) for value in (0.25, 5, 150, 1000, 20_000, 3e6)] == [
        "0.25",
        "5",
        "150",
        "1 k",
        "20 k",
        "3 M",
    ]
    assert Scale(0, 10, 0, 100)(25) == 100, "nothing is drawn outside"

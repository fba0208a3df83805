"""What is said to have changed between two studies is what their intervals allow to say."""

from __future__ import annotations

from master.niches.bounds import Interval
from master.niches.changes import Kind, changes_since
from master.niches.ranking import Niche, Ranked, rank_niches
from master.niches.scoring import Score


def study(*niches: tuple[str, float, float, str]) -> tuple[Ranked, ...]:
    """(name, least and greatest score, keywords)."""
    one = Interval(low=1, middle=1, high=1)
    return rank_niches(
        [
            Niche(
                key=f"g{at}",
                market="spain",
                label=label,
                keywords=tuple(keywords.split()),
                cohesion=0.5,
                score=Score(
                    total=Interval(low=low, middle=(low + high) / 2, high=high),
                    parts=(),
                    demand=one,
                    competition=one,
                ),
            )
            for at, (label, low, high, keywords) in enumerate(niches)
        ]
    )


def test_overlapping_intervals_are_no_change_and_others_are() -> None:
    before = study(("bread", 40, 60, "a b"), ("cheese", 70, 80, "c d"), ("yoga", 10, 20, "e f"))
    now = study(("bread", 55, 90, "a b"), ("cheese", 30, 50, "c d"), ("yoga", 30, 40, "e f"))
    found = {change.now.niche.label: change.kind for change in changes_since(before, now) if change.now}
    assert found == {"bread": Kind.SAME, "cheese": Kind.WORSE, "yoga": Kind.BETTER}


def test_a_niche_is_known_by_its_keywords_when_its_name_is_another() -> None:
    found = changes_since(study(("loaf", 40, 60, "a b c d")), study(("bread", 41, 61, "a b c e")))
    assert [(change.kind, change.before is not None) for change in found] == [(Kind.SAME, True)]


def test_new_ones_and_those_that_are_gone_are_told() -> None:
    found = changes_since(study(("old", 1, 2, "a b")), study(("fresh", 1, 2, "x y")))
    assert [change.kind for change in found] == [Kind.NEW, Kind.GONE]


def test_no_niche_is_matched_twice() -> None:
    before = study(("one", 10, 20, "a b c d"))
    now = study(("two", 10, 20, "a b c d"), ("three", 10, 20, "a b c"))
    assert sorted(change.kind for change in changes_since(before, now)) == [Kind.NEW, Kind.SAME]

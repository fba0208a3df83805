"""What an evolution has spent, and when it asks for no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from master.darwin.engines.protocol import Evaluation, Failed
from master.darwin.tally import Cost, Limits, Tally

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def limits(**changes: Any) -> Limits:
    return Limits(**{"parallel": 2, "slots": 1, "now": NOW, **changes})


def test_nothing_more_is_asked_when_the_dearest_step_so_far_would_not_fit() -> None:
    tally = Tally()
    for micros in (100, 300, 200):
        tally.charge(Cost(micros=micros))

    assert not Tally.load(tally.dump()).closed(limits(budget_micros=1500), in_flight=2)
    assert tally.closed(limits(budget_micros=1499), in_flight=2)
    assert "euros are spent" in tally.why_closed


def test_a_budget_that_is_spent_is_spent_even_if_steps_were_cheap() -> None:
    tally = Tally()
    tally.charge(Cost(micros=500))
    assert tally.closed(limits(budget_micros=500), in_flight=0)


def test_once_closed_it_stays_closed_with_its_reason() -> None:
    tally = Tally()
    assert tally.closed(limits(until=NOW), in_flight=0)
    assert tally.closed(limits(until=NOW + timedelta(days=1)), in_flight=0)
    assert tally.why_closed == "it was to end at 2026-11-21 00:00 UTC"
    assert not Tally().closed(limits(until=NOW + timedelta(seconds=1)), in_flight=0)


def test_tells_are_numbered_and_know_how_many_came_before_their_ask() -> None:
    tally = Tally()
    tally.ask(0)
    tally.ask(1)
    first = tally.tell(1, Evaluation(scores=(1.0,), tokens=5), cached=True)
    tally.ask(2)
    again = Tally.load(tally.dump())
    second, third = (
        again.tell(2, Failed(error="x"), cached=False),
        again.tell(0, Failed(error="x"), cached=False),
    )

    assert [(one.at, one.asked_after) for one in (first, second, third)] == [(0, 0), (1, 1), (2, 0)]
    assert (again.told, again.evaluated, again.failed, again.cached, again.tokens) == (3, 1, 2, 1, 5)
    assert again.asked_after == {}

"""What is asked when: budgets, failures, generations and races."""

from __future__ import annotations

import random
from typing import Any

import pytest

from master.darwin.engines.choose import make_engine
from master.darwin.engines.protocol import Evaluation, Failed, Outcome, Trial
from tests.unit.darwin.engines.driving import BITS, NAMES, drive, ones, rules


@pytest.mark.parametrize("name", NAMES)
def test_the_budget_is_exact_whatever_fails(name: str) -> None:
    chance = random.Random(3)

    def often_fails(trial: Trial[Any]) -> Outcome:
        return Failed(error="no") if chance.random() < 0.4 else ones(trial)

    engine = make_engine(name, BITS, rules(), None)
    log = drive(engine, often_fails, random.Random(1))

    assert engine.spent == len(log) == 80
    assert engine.finished
    assert engine.ask() is None
    assert engine.successes + sum(isinstance(outcome, Failed) for _, _, outcome in log) == 80


@pytest.mark.parametrize("name", NAMES)
def test_a_candidate_that_failed_is_no_parent_and_holds_no_place(name: str) -> None:
    failed: set[int] = set()

    def odd_fail(trial: Trial[Any]) -> Outcome:
        if sum(trial.candidate.genome) % 2:
            failed.add(trial.candidate.number)
            return Failed(error="odd")
        return ones(trial)

    engine = make_engine(name, BITS, rules(unborn_parents=0.0), None)
    parents: set[int] = set()

    def judge(trial: Trial[Any]) -> Outcome:
        parents.update(trial.candidate.parents)
        return odd_fail(trial)

    drive(engine, judge, random.Random(1), parallel=1)

    assert failed
    assert not parents & failed
    assert not {one.candidate.number for one in engine.best()} & failed


def test_steady_state_always_has_something_to_ask_while_others_are_slow() -> None:
    engine = make_engine("steady", BITS, rules(), None)
    assert [engine.ask() is not None for _ in range(20)] == [True] * 20


def test_a_generation_waits_for_its_slowest() -> None:
    engine = make_engine("generational", BITS, rules(), None)
    asks = [engine.ask() for _ in range(7)]
    assert asks[6] is None
    for ask in asks[:5]:
        assert isinstance(ask, Trial)
        engine.tell(ask.number, ones(ask))
    assert engine.ask() is None
    assert isinstance(asks[5], Trial)
    engine.tell(asks[5].number, ones(asks[5]))
    assert engine.ask() is not None


def test_losers_of_a_race_stop_and_leaders_go_on() -> None:
    chance = random.Random(5)
    answered: dict[int, int] = {}

    def noisy(trial: Trial[Any]) -> Outcome:
        answered[trial.candidate.number] = answered.get(trial.candidate.number, 0) + len(trial.examples)
        share = sum(trial.candidate.genome) / 16
        return Evaluation(scores=tuple(float(chance.random() < share) for _ in trial.examples))

    blocks = tuple(tuple(range(at, at + 8)) for at in range(0, 48, 8))
    engine = make_engine("steady", BITS, rules(budget=300, blocks=blocks), None)
    drive(engine, noisy, random.Random(1))

    assert sum(count < 48 for count in answered.values()) > len(answered) / 2
    assert len(engine.best()[0].scores) == 48

"""What was asked and told, played back or taken up from a snapshot, gives the same engine."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from master.darwin.engines.choose import make_engine
from master.darwin.engines.protocol import Evaluation
from master.darwin.engines.replay import replay
from tasks.errors import D8Error
from tests.unit.darwin.engines.driving import BITS, BLOCKS, NAMES, drive, ones, rules


@pytest.mark.parametrize("name", NAMES)
@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_asks_and_tells_played_back_give_the_same_engine(name: str, seed: int) -> None:
    many = rules(seed=seed, blocks=BLOCKS)
    engine = make_engine(name, BITS, many, None)
    log = drive(engine, ones, random.Random(seed))
    again = make_engine(name, BITS, many, None)

    replay(again, log)

    assert again.snapshot() == engine.snapshot()


@pytest.mark.parametrize("name", NAMES)
@given(st.integers(0, 1000), st.integers(0, 79))
@settings(max_examples=15, deadline=None)
def test_a_snapshot_goes_on_as_the_engine_would_have(name: str, seed: int, stop: int) -> None:
    many = rules(seed=seed, blocks=BLOCKS)
    engine = make_engine(name, BITS, many, None)
    drive(engine, ones, random.Random(seed), parallel=1, most=stop)
    taken_up = make_engine(name, BITS, many, json.loads(json.dumps(engine.snapshot())))

    drive(engine, ones, random.Random(0), parallel=1)
    drive(taken_up, ones, random.Random(0), parallel=1)

    assert taken_up.snapshot() == engine.snapshot()


def test_a_tell_that_was_not_asked_is_refused() -> None:
    engine = make_engine("steady", BITS, rules(), None)
    with pytest.raises(D8Error, match="ask 5 is told and was not asked"):
        engine.tell(5, Evaluation(scores=(1.0,)))


def test_records_of_other_rules_do_not_play_back() -> None:
    engine = make_engine("generational", BITS, rules(), None)
    log = drive(engine, ones, random.Random(1))
    short = make_engine("generational", BITS, rules(budget=10), None)
    with pytest.raises(D8Error, match="other rules"):
        replay(short, log)

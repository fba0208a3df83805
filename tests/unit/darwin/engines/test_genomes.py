"""Vectors and programs stay what they are, whatever is done to them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from master.darwin.engines.code import CodeVariation
from tasks.errors import InvalidInput
from tests.unit.darwin.engines.driving import REALS


@given(st.integers(0, 2**32))
def test_vectors_stay_within_their_bounds(seed: int) -> None:
    rng = random.Random(seed)
    one, other = REALS.seeds(2, seed)
    for _ in range(20):
        one, _ = REALS.mutate(one, rng)
        other = REALS.cross(one, other, rng)
        assert REALS.load(REALS.dump(one)) == one
        assert REALS.load(REALS.dump(other)) == other


@pytest.mark.parametrize("data", [[1.0], "123", [1.0, 2.0, float("nan")], [0.0, 0.0, 6.0], [True, 0, 0]])
def test_what_is_no_vector_of_this_space_is_refused(data: Any) -> None:
    with pytest.raises(InvalidInput):
        REALS.load(data)


@given(st.integers(0, 2**32))
@settings(deadline=None)
def test_programs_stay_programs(seed: int) -> None:
    seeds = [
        "def act(x):\n    return 2 * x + 1 if x < 3 else x / 4",
        "def act(x):\n    return abs(x - 7) * 0.5",
    ]
    code = CodeVariation(seeds)
    rng = random.Random(seed)
    one, other = code.seeds(2, seed)
    for _ in range(15):
        one, _ = code.mutate(one, rng)
        other = code.cross(one, other, rng)
        compile(one, "one", "exec")
        compile(other, "other", "exec")
    assert code.load(one) == one


def test_a_difference_of_programs_shows_the_lines() -> None:
    code = CodeVariation(["x = 1"])
    assert code.describe_difference("x = 1\ny = 2", "x = 1\ny = 3").splitlines() == [
        " x = 1",
        "-y = 2",
        "+y = 3",
    ]

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.darwin.statistics import compare, sign_test, wilson


def test_wilson_interval_agrees_with_published_figures() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3.
    for correct, total, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
    ):
        interval = wilson(correct, total)
        assert interval.low == pytest.approx(low, abs=5e-5)
        assert interval.high == pytest.approx(high, abs=5e-5)


@given(st.integers(1, 500), st.data())
def test_wilson_interval_holds_the_proportion_and_stays_within_bounds(
    total: int, data: st.DataObject
) -> None:
    correct = data.draw(st.integers(0, total))
    interval = wilson(correct, total)
    assert 0 <= interval.low <= correct / total + 1e-12
    assert correct / total - 1e-12 <= interval.high <= 1


def test_wilson_refuses_what_is_no_proportion() -> None:
    with pytest.raises(ValueError, match="5 of 4"):
        wilson(5, 4)


@pytest.mark.parametrize(
    ("wins", "losses", "p_value"), [(0, 0, 1.0), (5, 5, 1.0), (6, 0, 0.03125), (10, 2, 0.0385742)]
)
def test_sign_test_gives_the_exact_binomial_p_value(wins: int, losses: int, p_value: float) -> None:
    assert sign_test(wins, losses) == pytest.approx(p_value, abs=1e-7)
    assert sign_test(losses, wins) == sign_test(wins, losses)


def test_pairs_that_agree_say_nothing() -> None:
    paired = compare([True] * 50 + [True, False, False], [True] * 50 + [False, True, True])

    assert (paired.first_only, paired.second_only) == (1, 2)
    assert paired.p_value == sign_test(1, 2)

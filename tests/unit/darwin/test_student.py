from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.darwin.student import threshold, upper_tail


@pytest.mark.parametrize(
    ("tail", "degrees", "t"),
    # NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2: critical values of Student's t.
    [(0.10, 1, 3.078), (0.05, 5, 2.015), (0.025, 10, 2.228), (0.01, 30, 2.457), (0.001, 100, 3.174)],
)
def test_thresholds_are_those_of_the_printed_table(tail: float, degrees: int, t: float) -> None:
    assert threshold(tail, degrees) == pytest.approx(t, abs=5e-4)
    assert upper_tail(threshold(tail, degrees), degrees) == pytest.approx(tail, abs=1e-12)


def test_one_degree_of_freedom_is_cauchys_distribution() -> None:
    assert upper_tail(1.0, 1) == pytest.approx(0.25, abs=1e-12)
    assert upper_tail(-1.0, 1) == pytest.approx(0.75, abs=1e-12)


@given(st.floats(-40, 40), st.floats(-40, 40), st.integers(1, 2000))
def test_the_tail_falls_from_one_to_zero(first: float, second: float, degrees: int) -> None:
    low, high = sorted((first, second))

    assert 0 <= upper_tail(high, degrees) <= upper_tail(low, degrees) + 1e-12 <= 1 + 2e-12


def test_what_is_no_distribution_is_refused() -> None:
    with pytest.raises(ValueError, match="0 degrees"):
        upper_tail(1.0, 0)
    with pytest.raises(ValueError, match="tail of 0"):
        threshold(0.0, 3)

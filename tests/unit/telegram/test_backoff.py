"""Waiting for a service that is away."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from master.telegram.backoff import LONGEST_DELAY_S, retry_delay_s


def test_delays_double_up_to_a_minute() -> None:
    assert [retry_delay_s(failures, 0.0) for failures in (1, 2, 3, 7, 1000)] == [1, 2, 4, 60, 60]


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_jitter_takes_away_at_most_half(failures: int, jitter: float) -> None:
    full = retry_delay_s(failures, 0.0)
    assert full / 2 <= retry_delay_s(failures, jitter) <= full <= LONGEST_DELAY_S

"""No faster than Telegram allows, whatever is to be said."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from master.telegram.pacing import Limits, Pace

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_a_chat_gets_one_message_a_second_and_others_do_not_wait_for_it() -> None:
    pace = Pace(Limits())
    pace.note(1, NOW)
    assert 1.0 <= pace.wait_s(1, NOW) <= 1.1
    assert pace.wait_s(2, NOW) == 0
    assert pace.wait_s(1, NOW + timedelta(seconds=1.1)) == 0
    assert set(pace.held(NOW)) == {1}


def test_all_chats_together_get_thirty_a_second() -> None:
    pace = Pace(Limits())
    for chat in range(30):
        assert pace.wait_s(chat, NOW) == 0
        pace.note(chat, NOW)
    assert pace.wait_s(99, NOW) > 1.0


def test_a_group_gets_twenty_a_minute() -> None:
    pace = Pace(Limits())
    now = NOW
    for _ in range(20):
        assert pace.wait_s(-7, now) == 0
        pace.note(-7, now)
        now += timedelta(seconds=2)
    assert pace.wait_s(-7, now) > 20


def test_a_clock_that_is_put_back_holds_nothing_up() -> None:
    pace = Pace(Limits())
    pace.note(1, NOW)
    assert pace.wait_s(1, NOW - timedelta(hours=1)) == 0


def test_chats_are_forgotten_when_their_limits_are_over() -> None:
    pace = Pace(Limits())
    for chat in range(500):
        pace.note(chat, NOW + timedelta(seconds=5 * chat))
    assert len(pace._chats) == 1


@given(st.lists(st.tuples(st.integers(-2, 40).filter(bool), st.floats(0, 0.3)), min_size=1, max_size=300))
def test_whoever_waits_as_told_never_passes_a_limit(wanted: list[tuple[int, float]]) -> None:
    pace, now, said = Pace(Limits()), NOW, []
    for chat, later_s in wanted:
        now += timedelta(seconds=later_s)
        now += timedelta(seconds=pace.wait_s(chat, now))
        pace.note(chat, now)
        said.append((now, chat))
    for at, chat in said:
        within = [c for t, c in said if at <= t < at + timedelta(seconds=1)]
        assert len(within) <= 30
        assert Counter(within)[chat] <= 1
        if chat < 0:
            assert sum(c == chat and at <= t < at + timedelta(seconds=60) for t, c in said) <= 20

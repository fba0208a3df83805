"""When schedules are due: over changes of the clock, after an absence, while the last one goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from master.schedules.moments import LATE, Rule, check_rule, decide, last_due, next_due
from master.schedules.records import Missed, Overlap
from tasks.errors import InvalidInput

MADRID = "Europe/Madrid"
NIGHTLY = Rule(cron="30 2 * * *", zone=MADRID, missed=Missed.ONCE, overlap=Overlap.SKIP)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def due(cron: str, after: str, count: int, zone: str = MADRID) -> list[str]:
    found, moment = [], utc(after)
    for _ in range(count):
        moment = next_due(cron, zone, moment)
        found.append(f"{moment:%m-%d %H:%M}")
    return found


def test_a_time_that_the_clock_leaps_over_comes_right_after_the_gap() -> None:
    # 02:30 does not exist in Madrid on the 29th: 03:00 summer time is 01:00 UTC.
    assert due("30 2 * * *", "2026-03-28T12:00", 2) == ["03-29 01:00", "03-30 00:30"]


def test_a_time_that_comes_twice_counts_once() -> None:
    assert due("30 2 * * *", "2026-10-24T12:00", 2) == ["10-25 00:30", "10-26 01:30"]


def test_every_half_hour_goes_by_real_time() -> None:
    assert due("*/30 * * * *", "2026-10-24T23:59", 4) == [
        "10-25 00:00", "10-25 00:30", "10-25 01:00", "10-25 01:30"
    ]  # fmt: skip


@pytest.mark.parametrize("cron", ["", "x", "* * * *", "0 0 30 2 *", "61 * * * *", "* * * * * *", "@never"])
def test_what_is_no_schedule_is_refused_with_an_example(cron: str) -> None:
    with pytest.raises(InvalidInput, match="0 3"):
        check_rule(cron, "UTC", utc("2026-01-01"))


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "", "/etc/localtime"])
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(InvalidInput, match="time zone"):
        check_rule("@daily", zone, utc("2026-01-01"))


def test_a_named_rule_is_kept_as_what_it_means() -> None:
    assert check_rule(" @Daily ", "UTC", utc("2026-01-01")) == "0 0 * * *"
    assert check_rule("0  3 *  * mon", "UTC", utc("2026-01-01")) == "0 3 * * mon"


@settings(max_examples=60, deadline=None)
@given(
    cron=st.sampled_from(
        ["30 2 * * *", "*/30 * * * *", "0 * * * *", "15 1-4 * * *", "0 3 * * 1", "59 23 31 * *", "* * * * *"]
    ),
    now=st.integers(0, 700 * 86400).map(lambda s: utc("2026-01-01") + timedelta(seconds=s))
    | st.integers(0, 6 * 3600).map(lambda s: utc("2026-03-28T22:00") + timedelta(seconds=s))
    | st.integers(0, 6 * 3600).map(lambda s: utc("2026-10-24T22:00") + timedelta(seconds=s)),
)
def test_nothing_lies_between_the_last_moment_and_now(cron: str, now: datetime) -> None:
    found = last_due(cron, MADRID, now)
    assert found <= now < next_due(cron, MADRID, found)


def test_the_moment_itself_has_come() -> None:
    at = utc("2026-11-21T01:30")
    assert last_due("30 2 * * *", MADRID, at) == at


def test_what_is_due_is_started_and_due_again_the_next_day() -> None:
    at = utc("2026-11-21T01:30")
    decision = decide(NIGHTLY, at, at + timedelta(seconds=3), "")
    assert (decision.due_at, decision.skip, decision.next_at) == (at, "", at + timedelta(days=1))


def test_a_week_away_is_made_up_for_once_or_not_at_all() -> None:
    at, now = utc("2026-11-14T01:30"), utc("2026-11-21T12:00")
    once = decide(NIGHTLY, at, now, "")
    assert (once.due_at, once.skip, once.next_at) == (utc("2026-11-21T01:30"), "", utc("2026-11-22T01:30"))
    left = decide(NIGHTLY.model_copy(update={"missed": Missed.SKIP}), at, now, "")
    assert "away" in left.skip
    assert left.next_at == once.next_at


def test_a_master_that_was_started_again_has_missed_nothing() -> None:
    at = utc("2026-11-21T01:30")
    rule = NIGHTLY.model_copy(update={"missed": Missed.SKIP})
    assert decide(rule, at, at + LATE, "").skip == ""
    assert decide(rule, at, at + LATE + timedelta(seconds=1), "").skip


def test_while_the_last_one_goes_on_it_is_left_out_unless_it_may_overlap() -> None:
    at = utc("2026-11-21T01:30")
    assert "noop-x" in decide(NIGHTLY, at, at, "noop-x").skip
    assert decide(NIGHTLY.model_copy(update={"overlap": Overlap.ALLOW}), at, at, "noop-x").skip == ""

"""How long a run will still take: told where what is recorded tells it, and not otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from master.flows.left import Going, Left, OpenSteps, estimate_left

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def ends(*gaps_s: float, until: datetime = NOW) -> tuple[datetime, ...]:
    found = [until]
    for gap in reversed(gaps_s):
        found.append(found[-1] - timedelta(seconds=gap))
    return tuple(reversed(found))


def counting(
    progress: float = 0.25, ended: int = 100, at: tuple[datetime, ...] = ends(*[30.0] * 20)
) -> Going:
    return Going(progress=progress, ended=ended, ends=at)


def left(going: Going, *, counts: bool = True, now: datetime = NOW, **paces: float) -> Left | None:
    named = {task.replace("__", "."): seconds for task, seconds in paces.items()}
    return estimate_left(going, named, counts=counts, now=now)


def test_flow_that_counts_takes_as_long_for_the_rest_as_for_its_latest_steps() -> None:
    # A quarter was a hundred steps: three hundred are left, one every 30 s.
    found = left(counting())
    assert found is not None
    assert (found.whole, round(found.seconds)) == (True, 9000)


def test_speed_is_that_of_the_latest_steps_not_of_all() -> None:
    faster = left(counting(at=ends(*[3.0] * 20)))
    assert faster is not None
    assert faster.seconds == pytest.approx(900)


def test_night_in_which_the_fleet_was_off_is_no_work() -> None:
    paused = left(counting(at=ends(*[30.0] * 10, 8 * 3600, *[30.0] * 10)))
    assert paused is not None
    assert paused.seconds == pytest.approx(9000)


def test_steps_that_end_together_are_no_pause() -> None:
    bursts = left(counting(at=ends(*[0.0, 0.0, 0.0, 120.0] * 5)))
    assert bursts is not None
    assert bursts.seconds == pytest.approx(9000)


@pytest.mark.parametrize(
    "going",
    [
        counting(at=ends(*[30.0] * 8)),
        counting(progress=0.0),
        counting(progress=0.01),
        counting(progress=1.0),
        counting(at=ends(*[30.0] * 20, until=NOW - timedelta(hours=2))),
    ],
)
def test_too_little_is_known_or_it_stands_still(going: Going) -> None:
    assert left(going) is None


def test_slow_steps_are_not_taken_for_a_stand() -> None:
    assert left(counting(at=ends(*[3600.0] * 12, until=NOW - timedelta(hours=2)))) is not None


def test_planned_steps_take_their_tasks_paces_shared_by_those_that_run() -> None:
    open_steps = (
        OpenSteps(task="niche.analyse", running=2, waiting=6, progress=1.0),
        OpenSteps(task="text.embed", running=0, waiting=2),
    )
    going = Going(progress=0.4, ended=3, open=open_steps)
    # (6 + 2 - 1) * 60 s and 2 * 10 s, two at a time.
    found = left(going, counts=False, niche__analyse=60.0, text__embed=10.0)
    assert found is not None
    assert (found.whole, round(found.seconds)) == (False, 220)


def test_task_whose_pace_is_unknown_and_steps_that_nobody_runs_tell_nothing() -> None:
    unknown = Going(progress=0.4, ended=3, open=(OpenSteps(task="new.task", running=1, waiting=0),))
    assert left(unknown, counts=False) is None
    waiting = Going(progress=0.4, ended=3, open=(OpenSteps(task="a.b", running=0, waiting=9),))
    assert left(waiting, counts=False, a__b=1.0) is None
    assert left(Going(progress=0.4, ended=3), counts=False) is None

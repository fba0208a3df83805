"""What guessing a password costs."""

from __future__ import annotations

import pytest

from master.owners.limits import (
    FREE_FOR_ACCOUNT,
    FREE_FOR_ADDRESS,
    LONGEST_WAIT_S,
    LoginLimits,
    TooMany,
    wait_after,
)


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def fail(limits: LoginLimits, times: int, account: str = "ana", address: str = "10.0.0.1") -> None:
    for _ in range(times):
        limits.fail(account, address)


def test_a_few_mistakes_cost_nothing() -> None:
    limits = LoginLimits(Clock())
    fail(limits, FREE_FOR_ACCOUNT - 1)
    limits.check("ana", "10.0.0.1")


def test_each_failure_beyond_them_doubles_the_wait_up_to_a_quarter_of_an_hour() -> None:
    waits = [wait_after(count, FREE_FOR_ACCOUNT) for count in range(1, 60)]
    assert waits[FREE_FOR_ACCOUNT - 2] == 0
    assert waits[FREE_FOR_ACCOUNT - 1 : FREE_FOR_ACCOUNT + 3] == [15, 30, 60, 120]
    assert max(waits) == LONGEST_WAIT_S == waits[-1]


def test_who_waits_is_told_how_long_and_may_try_then() -> None:
    clock = Clock()
    limits = LoginLimits(clock)
    fail(limits, FREE_FOR_ACCOUNT)
    with pytest.raises(TooMany, match="in 15 s") as told:
        limits.check("ana", "10.0.0.2")
    assert told.value.wait_s == 15
    clock.now_s += 15
    limits.check("ana", "10.0.0.2")


def test_one_address_that_tries_many_names_waits_and_others_do_not() -> None:
    limits = LoginLimits(Clock())
    for number in range(FREE_FOR_ADDRESS):
        limits.fail(f"name{number}", "10.0.0.1")
    with pytest.raises(TooMany):
        limits.check("ana", "10.0.0.1")
    limits.check("ana", "10.0.0.2")


def test_who_gets_in_begins_anew_and_their_address_does_not() -> None:
    limits = LoginLimits(Clock())
    fail(limits, FREE_FOR_ADDRESS)
    fail(limits, 1, account="luis")
    limits.succeed("ana", "10.0.0.1")
    limits.check("ana", "10.0.0.2")
    with pytest.raises(TooMany):
        limits.check("ana", "10.0.0.1")


def test_of_many_tries_at_once_only_the_free_ones_are_looked_at() -> None:
    limits = LoginLimits(Clock())
    for _ in range(FREE_FOR_ACCOUNT):
        limits.begin("ana", "10.0.0.1")
    with pytest.raises(TooMany):
        limits.begin("ana", "10.0.0.1")


def test_who_logs_in_often_is_never_kept_waiting() -> None:
    limits = LoginLimits(Clock())
    for _ in range(3 * FREE_FOR_ADDRESS):
        limits.begin("ana", "10.0.0.1")
        limits.succeed("ana", "10.0.0.1")


def test_failures_of_long_ago_are_forgotten() -> None:
    clock = Clock()
    limits = LoginLimits(clock)
    fail(limits, FREE_FOR_ACCOUNT)
    clock.now_s += 7200
    fail(limits, 1)
    limits.check("ana", "10.0.0.1")


def test_many_names_do_not_fill_the_memory_and_free_nobody_who_waits() -> None:
    clock = Clock()
    limits = LoginLimits(clock)
    fail(limits, FREE_FOR_ACCOUNT + 5)
    for number in range(5000):
        limits.fail(f"name{number}", f"10.1.{number // 250}.{number % 250}")
    assert len(limits._failures) <= 2002
    with pytest.raises(TooMany):
        limits.check("ana", "10.0.0.9")

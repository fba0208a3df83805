"""The circuit breaker, on a clock that is moved by hand."""

from __future__ import annotations

import dataclasses

from worker.breaker import FAILURES, OPEN_S, Answered, Breaker


@dataclasses.dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock, shared: Answered) -> Breaker:
    breaker = Breaker(shared, clock)
    for _ in range(FAILURES):
        assert breaker.left_s == 0
        breaker.failed()
    return breaker


def test_it_opens_after_five_failures_and_closes_by_itself_after_a_minute() -> None:
    clock = Clock()
    breaker = opened(clock, Answered())
    assert breaker.left_s == OPEN_S == 60
    clock.now += 60
    assert breaker.left_s == 0


def test_failure_after_the_minute_opens_it_again_at_once() -> None:
    clock = Clock()
    breaker = opened(clock, Answered())
    clock.now += 61
    breaker.failed()
    assert breaker.left_s == 60


def test_answers_in_between_keep_it_closed() -> None:
    clock = Clock()
    breaker = Breaker(Answered(), clock)
    for _ in range(FAILURES * 3):
        clock.now += 1
        breaker.failed()
        clock.now += 1
        breaker.answered()
    assert breaker.left_s == 0


def test_answer_to_another_process_of_the_worker_closes_it() -> None:
    clock, shared = Clock(), Answered()
    breaker = opened(clock, shared)
    clock.now += 1
    Breaker(shared, clock).answered()
    assert breaker.left_s == 0
    clock.now += 1
    breaker.failed()
    assert breaker.left_s == 0, "it counts from the answer"

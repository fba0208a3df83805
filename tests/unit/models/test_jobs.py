from __future__ import annotations

from collections.abc import Sequence

import pytest

from tasks.errors import PermanentFailure, TransientFailure
from worker.models.jobs import Job, Unit, replied, run_isolated
from worker.models.outcomes import (
    Expired,
    Failed,
    GivenUp,
    Outcome,
    Overloaded,
    Rejected,
    as_error,
    failed,
    outcome_of,
)
from worker.models.protocol import Asked, Usage
from worker.models.stats import Counters


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def job_of(items: int, counters: Counters | None = None) -> Job[int]:
    return Job(items, counters or Counters())


def units_of(*jobs: Job[int]) -> list[Unit[int, int]]:
    return [Unit(job, 0, number) for number, job in enumerate(jobs)]


def ends(counters: Counters) -> dict[str, int]:
    stats = counters.snapshot((), 0)
    return {outcome: getattr(stats, outcome) for outcome in Outcome if getattr(stats, outcome)}


def test_results_come_in_the_items_order_with_usage_summed() -> None:
    job: Job[str] = Job(2, Counters())
    second, first = Unit(job, 1, "b"), Unit(job, 0, "a")

    second.charge(0.5)
    second.finish("B", prompt_tokens=3)
    first.finish("A", prompt_tokens=4, generated_tokens=2)

    results, usage = job.future.result(timeout=0)
    assert results == ["A", "B"]
    assert usage == Usage(prompt_tokens=7, generated_tokens=2, seconds=0.5)


def test_one_poison_unit_among_a_hundred_fails_alone() -> None:
    jobs = [job_of(1) for _ in range(100)]

    def compute(units: Sequence[Unit[int, int]]) -> None:
        if any(unit.task == 37 for unit in units):
            raise ValueError("poison")
        for unit in units:
            unit.finish(unit.task, prompt_tokens=1)

    run_isolated(units_of(*jobs), compute, lambda: None)

    results = [job.future.result(timeout=0)[0][0] for job in jobs]
    assert [number for number, result in enumerate(results) if isinstance(result, Failed)] == [37]
    poisoned = results[37]
    assert isinstance(poisoned, Failed)
    assert (poisoned.outcome, poisoned.transient) == (Outcome.FAILED, False)
    assert results[36] == 36


def test_out_of_memory_frees_memory_halves_and_fails_only_what_is_too_large_alone() -> None:
    jobs = [job_of(1) for _ in range(8)]
    freed: list[int] = []

    def compute(units: Sequence[Unit[int, int]]) -> None:
        if len(units) > 2 or any(unit.task == 5 for unit in units):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        for unit in units:
            unit.finish(unit.task, prompt_tokens=1)

    run_isolated(units_of(*jobs), compute, lambda: freed.append(1))

    results = [job.future.result(timeout=0)[0][0] for job in jobs]
    assert [number for number, result in enumerate(results) if isinstance(result, Failed)] == [5]
    assert getattr(results[5], "transient", False)
    assert freed


def test_a_client_that_gives_up_drops_its_job_and_what_was_not_done_counts_as_cancelled() -> None:
    counters = Counters()
    job = job_of(3, counters)
    reply = replied(job, lambda results, usage: results)
    units = [Unit(job, index, index) for index in range(3)]
    units[0].finish(0, prompt_tokens=1)

    assert reply.cancel()

    assert all(unit.dropped for unit in units)
    units[1].finish(1, prompt_tokens=1)
    assert reply.cancelled()
    assert ends(counters) == {"done": 1, "cancelled": 2}


def test_an_item_that_fails_costs_the_others_nothing() -> None:
    counters = Counters()
    job = job_of(2, counters)
    reply = replied(job, lambda results, usage: results)

    Unit(job, 0, 0).fail(PermanentFailure("too bad"))
    Unit(job, 1, 0).finish(7, prompt_tokens=1)

    told, result = reply.result(timeout=0)
    assert isinstance(told, Failed)
    assert told.message == "too bad"
    assert result == 7
    assert ends(counters) == {"done": 1, "failed": 1}


def test_only_the_first_end_of_an_item_counts() -> None:
    counters = Counters()
    job = job_of(1, counters)
    unit = Unit(job, 0, 0)

    unit.finish(1, prompt_tokens=1)
    unit.fail(PermanentFailure("late"))

    assert job.future.result(timeout=0)[0] == [1]
    assert ends(counters) == {"done": 1}


def test_a_deadline_that_passes_ends_the_item_and_its_waiter_hears_of_it() -> None:
    clock, counters = Clock(), Counters()
    job: Job[int] = Job(2, counters, clock=clock)
    hurried, patient = Unit(job, 0, 0, Asked(deadline_s=5)), Unit(job, 1, 0, Asked())

    clock.now_s += 4.9
    assert not hurried.dropped
    clock.now_s += 0.1
    assert hurried.dropped
    assert not patient.dropped
    patient.finish(2, prompt_tokens=1)

    told, result = job.future.result(timeout=0)[0]
    assert isinstance(told, Failed)
    assert (told.outcome, told.transient) == (Outcome.EXPIRED, True)
    assert "5 s" in told.message
    assert result == 2
    assert ends(counters) == {"done": 1, "expired": 1}


def test_the_highest_priority_goes_first_and_within_it_the_oldest() -> None:
    job = job_of(4)
    units = [
        Unit(job, index, index, Asked(priority=priority)) for index, priority in enumerate((0, 5, -1, 5))
    ]
    for arrival, unit in enumerate(units):
        unit.arrival = arrival

    assert [unit.task for unit in sorted(units, key=lambda unit: unit.order)] == [1, 3, 0, 2]


def test_a_text_that_is_begun_again_is_told_once() -> None:
    heard: list[str] = []
    job: Job[int] = Job(1, Counters(), lambda _, text: heard.append(text))
    unit = Unit(job, 0, 0)

    for text in ("ab", "abcd", "a", "abcde"):
        unit.tell(text)

    assert "".join(heard) == "abcde"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (PermanentFailure("a"), Outcome.FAILED),
        (TransientFailure("b"), Outcome.FAILED),
        (Expired("c"), Outcome.EXPIRED),
        (GivenUp("d"), Outcome.CANCELLED),
        (Rejected("e"), Outcome.REJECTED),
        (Overloaded("f"), Outcome.REJECTED),
    ],
)
def test_a_failure_travels_and_is_the_same_error_again(error: Exception, outcome: Outcome) -> None:
    assert isinstance(error, PermanentFailure | TransientFailure)
    assert outcome_of(error) is outcome
    again = as_error(failed(error))
    assert type(again) is type(error)
    assert str(again) == str(error)

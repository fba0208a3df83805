from __future__ import annotations

from collections.abc import Sequence

import pytest

from tasks.errors import PermanentFailure, TransientFailure
from worker.models.jobs import Job, Unit, replied, run_isolated
from worker.models.protocol import Usage


def units_of(*jobs: Job[int]) -> list[Unit[int, int]]:
    return [Unit(job, 0, number) for number, job in enumerate(jobs)]


def test_results_come_in_the_items_order_with_usage_summed() -> None:
    job: Job[str] = Job(2)
    second, first = Unit(job, 1, "b"), Unit(job, 0, "a")

    second.charge(0.5)
    second.finish("B", prompt_tokens=3)
    first.finish("A", prompt_tokens=4, generated_tokens=2)

    results, usage = job.future.result(timeout=0)
    assert results == ["A", "B"]
    assert usage == Usage(prompt_tokens=7, generated_tokens=2, seconds=0.5)


def test_one_poison_unit_among_a_hundred_fails_alone() -> None:
    jobs = [Job[int](1) for _ in range(100)]

    def compute(units: Sequence[Unit[int, int]]) -> None:
        if any(unit.task == 37 for unit in units):
            raise ValueError("poison")
        for unit in units:
            unit.finish(unit.task, prompt_tokens=1)

    run_isolated(units_of(*jobs), compute, lambda: None)

    failed = [number for number, job in enumerate(jobs) if job.future.exception(timeout=0)]
    assert failed == [37]
    assert isinstance(jobs[37].future.exception(), PermanentFailure)
    assert jobs[36].future.result()[0] == [36]


def test_out_of_memory_frees_memory_halves_and_fails_only_what_is_too_large_alone() -> None:
    jobs = [Job[int](1) for _ in range(8)]
    freed: list[int] = []

    def compute(units: Sequence[Unit[int, int]]) -> None:
        if len(units) > 2 or any(unit.task == 5 for unit in units):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        for unit in units:
            unit.finish(unit.task, prompt_tokens=1)

    run_isolated(units_of(*jobs), compute, lambda: freed.append(1))

    failed = {number: job.future.exception() for number, job in enumerate(jobs) if job.future.exception()}
    assert list(failed) == [5]
    assert isinstance(failed[5], TransientFailure)
    assert freed


def test_a_client_that_gives_up_drops_its_job() -> None:
    job: Job[int] = Job(1)
    reply = replied(job, lambda results, usage: results)
    unit = Unit(job, 0, 0)

    assert reply.cancel()

    assert unit.dropped
    unit.finish(1, prompt_tokens=1)
    assert reply.cancelled()


def test_the_first_failure_of_a_job_is_its_answer() -> None:
    job: Job[int] = Job(2)
    reply = replied(job, lambda results, usage: results)

    Unit(job, 0, 0).fail(PermanentFailure("first"))
    Unit(job, 1, 0).fail(PermanentFailure("second"))

    with pytest.raises(PermanentFailure, match="first"):
        reply.result(timeout=0)

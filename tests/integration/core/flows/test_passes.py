"""Passes survive: crashes between any two writes, others that meet them."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest
from sqlalchemy import func, select

from master.dispatch.reap import reap_leases
from master.events import record_event
from master.flows import FlowContext, flow
from master.flows.runs import start_run
from master.store import Writer
from master.store.tables import steps
from tasks import fleet_noop
from tests.integration.core.conftest import Bench
from tests.integration.core.flows.stage import (
    Nothing,
    approve_pending,
    count_events,
    record_acted,
    row_of,
    whole_flow,
    work,
)


def test_a_flow_goes_from_steps_to_a_question_to_its_result(bench: Bench) -> None:
    whole_flow(bench)
    run_id = bench.start("whole")
    work(bench, run_id)
    assert row_of(bench, run_id).state == "waiting"
    approve_pending(bench)
    work(bench, run_id)
    assert row_of(bench, run_id).result == {"echoes": ["s:0", "s:1", "s:2"], "acted": 7, "approved": True}


def test_a_crash_at_any_write_of_any_pass_changes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The n-th commit fails, for every n: a repetition comes to the same result."""
    whole_flow(bench)
    crashes = 0
    for crash_at in range(1, 60):
        seen = itertools.count(1)
        real = type(bench.database).write

        def failing(
            self: Any, *, durable: bool = True, seen: Any = seen, at: int = crash_at, real: Any = real
        ) -> Any:
            return Failing(real(self, durable=durable)) if next(seen) == at else real(self, durable=durable)

        run_id = bench.start("whole")
        monkeypatch.setattr(type(bench.database), "write", failing)
        try:
            work(bench, run_id)
            approve_pending(bench)
            work(bench, run_id)
            reached = False
        except Crash:
            reached = True
            crashes += 1
        monkeypatch.setattr(type(bench.database), "write", real)
        for _ in range(2):
            bench.pass_by(70)
            bench.write(reap_leases)
            work(bench, run_id)
            approve_pending(bench)
            work(bench, run_id)
        assert row_of(bench, run_id).result == {"echoes": ["s:0", "s:1", "s:2"], "acted": 7, "approved": True}
        if not reached:
            break
    assert crashes >= 8
    assert count_events(bench, "acted") == crashes + 1, "an act happens once per run"


class Crash(BaseException):
    pass


class Failing:
    """A write that does everything and is killed before its commit."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __enter__(self) -> Any:
        return self._inner.__enter__()

    def __exit__(self, *exc: Any) -> Any:
        crash = Crash()
        if self._inner.__exit__(Crash, crash, None):
            return True
        raise crash


def test_of_two_passes_that_meet_one_counts(bench: Bench) -> None:
    meet = threading.Barrier(2, timeout=20)

    @flow("meeting", params=Nothing)
    def meeting(ctx: FlowContext, params: Nothing) -> dict[str, Any]:
        if not ctx.recorded:
            meet.wait()
        ctx.act("act", lambda connection: record_acted(connection, bench.now))
        ctx.call("s", fleet_noop.TASK, fleet_noop.Request())
        return {}

    run_id = bench.write(start_run, "meeting", {})
    threads = [threading.Thread(target=bench.engine.advance, args=(run_id,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.engine.advance(run_id)
    assert count_events(bench, "acted") == 1
    assert bench.read(lambda c: c.execute(select(func.count()).select_from(steps)).scalar()) == 2


def test_a_write_that_fails_does_not_hurt_the_others_of_its_group(bench: Bench) -> None:
    writer = Writer(bench.database)
    hold = threading.Event()
    first = writer.submit(lambda _: hold.wait(20))
    fine = [writer.submit(lambda c: record_event(c, "kept", bench.now)) for _ in range(5)]
    bad = writer.submit(lambda c: (record_event(c, "undone", bench.now), 1 / 0))
    hold.set()
    assert first.result(20)
    for future in fine:
        future.result(20)
    with pytest.raises(ZeroDivisionError):
        bad.result(20)
    writer.close()
    assert (count_events(bench, "kept"), count_events(bench, "undone")) == (5, 0)

"""What a flow hears of its steps, and what becomes of them when the run ends."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from master.approvals import list_approvals
from master.dispatch.claims import record_report
from master.flows import FlowContext, StepFailed, flow
from master.flows.runs import cancel_run, retry_run
from master.store.tables import outcomes
from tasks import fleet_noop
from tasks.errors import StaleToken
from tasks.protocol import Failure, Grant, Report
from tests.integration.core.conftest import Bench, result_of
from tests.integration.core.flows.stage import Nothing, row_of, whole_flow, work


def refusal_of(grant: Grant) -> Report:
    return Report(
        step=grant.step, attempt=1, token=grant.token, worker="one", failure=Failure.PERMANENT, error="no"
    )


def test_settle_any_gives_what_was_recorded_first(bench: Bench) -> None:
    @flow("any", params=Nothing)
    def first(ctx: FlowContext, params: Nothing) -> dict[str, Any]:
        handles = [ctx.start(f"s:{n}", fleet_noop.TASK, fleet_noop.Request()) for n in range(3)]
        return {"first": ctx.settle_any(handles).key}

    run_id = bench.start("any")
    postings = bench.publish()
    grant = bench.granted(postings[1].ticket)
    bench.write(record_report, result_of(grant))
    bench.engine.advance(run_id)
    assert row_of(bench, run_id).result == {"first": "s:1"}


def test_failed_step_can_be_caught_and_fails_the_run_otherwise(bench: Bench) -> None:
    @flow("careful", params=Nothing)
    def careful(ctx: FlowContext, params: Nothing) -> dict[str, Any]:
        try:
            ctx.call("a", fleet_noop.TASK, fleet_noop.Request())
        except StepFailed as failed:
            return {"caught": failed.error}
        return {}

    @flow("careless", params=Nothing)
    def careless(ctx: FlowContext, params: Nothing) -> dict[str, Any]:
        ctx.call("a", fleet_noop.TASK, fleet_noop.Request())
        return {}

    runs = [bench.start(name) for name in ("careful", "careless")]
    for number, posting in enumerate(bench.publish()):
        grant = bench.granted(posting.ticket, claim=f"claim-0{number}")
        bench.write(record_report, refusal_of(grant))
    for run_id in runs:
        bench.engine.advance(run_id)
    caught, failed = (row_of(bench, run_id) for run_id in runs)
    assert (caught.state, caught.result) == ("done", {"caught": "no"})
    assert failed.state == "failed"
    assert "no" in failed.error


def test_cancelled_run_takes_no_result_and_withdraws_its_question(bench: Bench) -> None:
    run_id = bench.start(steps=1)
    (posting,) = bench.publish()
    grant = bench.granted(posting.ticket)
    bench.write(cancel_run, run_id, by="me")
    with pytest.raises(StaleToken):
        bench.write(record_report, result_of(grant))
    assert bench.read(lambda c: c.execute(select(func.count()).select_from(outcomes)).scalar()) == 1

    whole_flow(bench)
    asking = bench.start("whole")
    work(bench, asking)
    bench.write(cancel_run, asking, by="me")
    (asked,) = bench.read(list_approvals)
    assert asked.state == "cancelled"
    assert row_of(bench, asking).state == "cancelled"


def test_retry_takes_a_failed_run_up_where_it_failed(bench: Bench) -> None:
    run_id = bench.start(steps=2)
    first, second = bench.publish()
    bench.write(record_report, result_of(bench.granted(first.ticket)))
    bench.write(record_report, refusal_of(bench.granted(second.ticket)))
    bench.engine.advance(run_id)
    assert row_of(bench, run_id).state == "failed"
    assert bench.write(retry_run, run_id, by="me") == 1
    work(bench, run_id)
    assert row_of(bench, run_id).state == "done"
    assert bench.step(first.ticket.step).attempt == 1

"""A run is taken up again from one of its steps: what came of it is done anew, everything else stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import insert

from master.flows import FlowContext, StepFailed, flow
from master.flows.again import TakenUp, retry_from_step
from master.flows.runs import cancel_run, start_run
from master.store.tables import carried
from tasks import fleet_noop
from tasks.errors import MoveNotAllowed, NotFound, Refused
from tests.integration.core.conftest import Bench
from tests.integration.core.long_run import (
    Nothing,
    answer,
    asked,
    count_event,
    failed_at_the_end,
    long_flow,
    rows,
    run_of,
    started,
    work,
)


@pytest.fixture(autouse=True)
def _own_flows(bench: Bench) -> Iterator[None]:
    with long_flow(bench):
        yield


def test_what_came_of_the_step_is_done_anew_and_what_was_before_it_is_not(bench: Bench) -> None:
    run_id = failed_at_the_end(bench)
    before = rows(bench, run_id)
    # middle, act, after and last
    assert bench.write(retry_from_step, run_id, "middle", by="me") == TakenUp(aside=4, again=0)
    assert run_of(bench, run_id).state == "running"
    work(bench, run_id)
    assert asked(bench) == {"Before?": ["approved"], "After?": ["rejected", "pending"]}
    answer(bench, yes=False)
    work(bench, run_id)

    after = rows(bench, run_id)
    assert run_of(bench, run_id).result == {"middle": f"middle {after['middle'].id}"}
    for key in ("a:0", "a:1", "before"):
        assert (after[key].id, after[key].attempt) == (before[key].id, before[key].attempt)
    for key in ("middle", "act", "after", "last"):
        assert after[key].id != before[key].id
        kept = after[f"{key}#aside-{before[key].id}"]
        assert (kept.id, kept.state, kept.result) == (before[key].id, before[key].state, before[key].result)
    assert count_event(bench, "acted") == 2


def test_a_step_that_nothing_came_of_is_taken_up_alone(bench: Bench) -> None:
    run_id = failed_at_the_end(bench)
    assert bench.write(retry_from_step, run_id, "last", by="me") == TakenUp(aside=1, again=0)
    work(bench, run_id)
    assert run_of(bench, run_id).state == "done"
    assert asked(bench) == {"Before?": ["approved"], "After?": ["rejected"]}
    assert count_event(bench, "acted") == 1


def test_from_the_first_step_its_neighbor_of_the_same_pass_stays(bench: Bench) -> None:
    run_id = failed_at_the_end(bench)
    neighbor = rows(bench, run_id)["a:1"].id
    bench.write(retry_from_step, run_id, "a:0", by="me")
    work(bench, run_id)
    assert rows(bench, run_id)["a:1"].id == neighbor
    assert asked(bench)["Before?"] == ["approved", "pending"]


def test_an_act_is_where_a_run_can_be_taken_up_too(bench: Bench) -> None:
    run_id = failed_at_the_end(bench)
    assert bench.write(retry_from_step, run_id, "act", by="me").aside == 3
    work(bench, run_id)
    assert count_event(bench, "acted") == 2


def test_a_pending_question_is_withdrawn_and_asked_as_a_new_one(bench: Bench) -> None:
    run_id = started(bench)
    work(bench, run_id)
    assert bench.write(retry_from_step, run_id, "a:0", by="me").aside == 2
    assert asked(bench) == {"Before?": ["cancelled"]}
    work(bench, run_id)
    assert asked(bench) == {"Before?": ["cancelled", "pending"]}
    answer(bench)
    work(bench, run_id)
    assert run_of(bench, run_id).state == "waiting"


def test_others_that_failed_or_were_cancelled_with_the_run_are_tried_again(bench: Bench) -> None:
    @flow("wide", params=Nothing)
    def wide(ctx: FlowContext, params: Nothing) -> dict[str, Any]:
        begun = [ctx.start(f"w:{n}", fleet_noop.TASK, fleet_noop.Request()) for n in range(3)]
        return {"steps": len(ctx.gather(begun))}

    run_id = bench.write(start_run, "wide", {})
    work(bench, run_id, fails="w:1", leave="w:2")
    assert run_of(bench, run_id).state == "failed"
    assert bench.write(retry_from_step, run_id, "w:0", by="me") == TakenUp(aside=1, again=2)
    work(bench, run_id)
    assert run_of(bench, run_id).result == {"steps": 3}


def test_a_failure_that_was_tried_again_had_been_known_before(bench: Bench) -> None:
    """What a flow did about a first failure came of that step, although it has ended again since."""
    from master.flows.runs import retry_run

    @flow("mends", params=Nothing)
    def mends(ctx: FlowContext, params: Nothing) -> dict[str, Any]:
        try:
            ctx.call("broken", fleet_noop.TASK, fleet_noop.Request())
        except StepFailed:
            ctx.call("instead", fleet_noop.TASK, fleet_noop.Request())
            raise
        return {}

    run_id = bench.write(start_run, "mends", {})
    work(bench, run_id, fails="broken")
    bench.write(retry_run, run_id, by="me")
    work(bench, run_id, fails="broken")
    assert run_of(bench, run_id).state == "failed"
    assert bench.write(retry_from_step, run_id, "broken", by="me").aside == 2


def test_only_a_run_that_may_go_on_is_taken_up_and_only_from_a_step_that_counts(bench: Bench) -> None:
    run_id = failed_at_the_end(bench)
    with pytest.raises(NotFound, match="nowhere"):
        bench.write(retry_from_step, run_id, "nowhere", by="me")
    with pytest.raises(NotFound, match="d8 run list"):
        bench.write(retry_from_step, "none", "last", by="me")
    old = rows(bench, run_id)["last"].id
    bench.write(retry_from_step, run_id, "last", by="me")
    with pytest.raises(NotFound, match="aside"):
        bench.write(retry_from_step, run_id, f"last#aside-{old}", by="me")
    work(bench, run_id)
    with pytest.raises(MoveNotAllowed, match="done"):
        bench.write(retry_from_step, run_id, "last", by="me")
    other = started(bench)
    work(bench, other)
    bench.write(cancel_run, other, by="me")
    with pytest.raises(MoveNotAllowed, match="cancelled"):
        bench.write(retry_from_step, other, "a:0", by="me")


def test_a_run_that_carries_what_it_learned_cannot_forget_a_step(bench: Bench) -> None:
    run_id = failed_at_the_end(bench)
    with bench.database.write() as connection:
        connection.execute(insert(carried).values(run_id=run_id, state=""))
    with pytest.raises(Refused, match="carries"):
        bench.write(retry_from_step, run_id, "last", by="me")

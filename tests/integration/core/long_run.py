"""A flow of several kinds of steps, and what tests of retries do with a run of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import func, select

from master.approvals import Policy, Voter, decide, list_approvals
from master.capabilities import load_capabilities
from master.dispatch.claims import record_report
from master.dispatch.publish import ring_again
from master.events import record_event
from master.flows import ApprovalType, FlowContext, Question, flow
from master.flows.registry import _FLOWS
from master.flows.runs import start_run
from master.store.tables import events, outcomes, runs, steps
from tasks import fleet_noop
from tasks.protocol import Failure, Report
from tasks.record import Record
from tests.integration.core.conftest import Bench, result_of

ME = Voter(identity="token:me", name="me", door="test")


class Nothing(Record):
    pass


@contextmanager
def long_flow(bench: Bench) -> Iterator[None]:
    """While it lasts there is a flow ``long``, and what a test registers is forgotten after it."""
    load_capabilities()
    before = dict(_FLOWS)

    @flow("long", params=Nothing)
    def long(ctx: FlowContext, params: Nothing) -> dict[str, Any]:
        """Two steps at once, a question, a step, an act, a payment, a step."""
        begun = [ctx.start(f"a:{n}", fleet_noop.TASK, fleet_noop.Request(echo=str(n))) for n in range(2)]
        ctx.gather(begun)
        ctx.ask("before", Question(type=ApprovalType.DESIGN_DECISION, title="Before?", reason="Because."))
        middle = ctx.call("middle", fleet_noop.TASK, fleet_noop.Request(echo="m"))
        ctx.act("act", lambda connection: record_event(connection, "acted", bench.now))
        after = Question(type=ApprovalType.PAYMENT, title="After?", reason="Because.", cost_minor=500)
        ctx.ask("after", after)
        ctx.call("last", fleet_noop.TASK, fleet_noop.Request(echo="l"))
        return {"middle": middle.echo}

    yield
    _FLOWS.clear()
    _FLOWS.update(before)


def work(bench: Bench, run_id: str, *, fails: str = "", leave: str = "") -> None:
    """Run what is ready, and pass after pass, until nothing moves; time goes on from one to the next. The step
    of key ``fails`` fails for good, that of key ``leave`` is claimed and left running."""
    for number in itertools.count():
        bench.pass_by(1)
        bench.engine.advance(run_id)
        postings = bench.publish() + bench.write(ring_again, ring_again_s=5.0)
        if not postings:
            return
        for posting in postings:
            grant = bench.granted(posting.ticket, claim=f"claim-{number}-{posting.ticket.step}")
            bench.pass_by(1)
            if grant.key == leave:
                continue
            report = result_of(grant, f"{grant.key} {grant.step}")
            if grant.key == fails:
                report = Report(
                    step=grant.step,
                    attempt=grant.attempt,
                    token=grant.token,
                    worker="one",
                    failure=Failure.PERMANENT,
                    error="no",
                )
            bench.write(record_report, report)


def answer(bench: Bench, *, yes: bool = True) -> None:
    for one in bench.read(list_approvals):
        if one.state == "pending":
            bench.write(decide, one.id, approve=yes, voter=ME, policy=Policy(), note="because")


def run_of(bench: Bench, run_id: str) -> Any:
    return bench.read(lambda c: c.execute(select(runs).where(runs.c.id == run_id)).one())


def rows(bench: Bench, run_id: str) -> dict[str, Any]:
    found = bench.read(lambda c: c.execute(select(steps).where(steps.c.run_id == run_id)).all())
    return {row.key: row for row in found}


def asked(bench: Bench) -> dict[str, list[str]]:
    """Title -> the states of all requests of that title, in the order in which they were made."""
    found: dict[str, list[str]] = {}
    for one in bench.read(list_approvals):
        found.setdefault(one.title, []).append(str(one.state))
    return found


def count_event(bench: Bench, name: str) -> int:
    return int(
        bench.read(lambda c: c.execute(select(func.count()).where(events.c.name == name)).scalar_one())
    )


def count_outcomes(bench: Bench, run_id: str) -> int:
    query = select(func.count()).where(outcomes.c.run_id == run_id)
    return int(bench.read(lambda c: c.execute(query).scalar_one()))


def started(bench: Bench) -> str:
    bench.pass_by(1)
    run_id: str = bench.write(start_run, "long", {})
    return run_id


def failed_at_the_end(bench: Bench) -> str:
    """A run whose payment was rejected, and whose last step then failed."""
    run_id = started(bench)
    work(bench, run_id)
    answer(bench)
    work(bench, run_id)
    answer(bench, yes=False)
    work(bench, run_id, fails="last")
    assert run_of(bench, run_id).state == "failed"
    return run_id

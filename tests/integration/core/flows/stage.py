"""Flows of these tests' own, driven by hand to where nothing moves."""

from __future__ import annotations

import itertools
from typing import Any

from sqlalchemy import func, select

from master.approvals import Policy, Voter, decide, list_approvals
from master.dispatch.claims import record_report
from master.dispatch.publish import ring_again
from master.events import record_event
from master.flows import ApprovalType, FlowContext, Question, flow
from master.store.tables import events, runs
from tasks import fleet_noop
from tasks.record import Record
from tests.integration.core.conftest import Bench, result_of


class Nothing(Record):
    pass


def voter(name: str) -> Voter:
    return Voter(identity=f"token:{name}", name=name, door="test")


ME = voter("me")


def record_acted(connection: Any, now: Any) -> int:
    record_event(connection, "acted", now)
    return 7


def whole_flow(bench: Bench) -> None:
    @flow("whole", params=Nothing)
    def whole(ctx: FlowContext, params: Nothing) -> dict[str, Any]:
        handles = [ctx.start(f"s:{n}", fleet_noop.TASK, fleet_noop.Request(echo=str(n))) for n in range(3)]
        echoes = [result.echo for result in ctx.gather(handles)]
        acted = ctx.act("act", lambda connection: record_acted(connection, bench.now))
        decision = ctx.ask("ask", Question(type=ApprovalType.PAYMENT, title="Buy?", reason="Because."))
        return {"echoes": echoes, "acted": acted, "approved": decision.approved}


def work(bench: Bench, run_id: str) -> None:
    """Run every step that is ready, and pass after pass, until nothing moves."""
    for number in itertools.count():
        bench.engine.advance(run_id)
        postings = bench.publish() + bench.write(ring_again, ring_again_s=5.0)
        if not postings:
            return
        for posting in postings:
            grant = bench.granted(posting.ticket, claim=f"claim-{number}-{posting.ticket.step}")
            bench.write(record_report, result_of(grant, grant.key))


def row_of(bench: Bench, run_id: str) -> Any:
    return bench.read(lambda c: c.execute(select(runs).where(runs.c.id == run_id)).one())


def count_events(bench: Bench, name: str) -> int:
    return int(
        bench.read(lambda c: c.execute(select(func.count()).where(events.c.name == name)).scalar_one())
    )


def approve_pending(bench: Bench) -> None:
    for one in bench.read(list_approvals):
        if one.state == "pending":
            bench.write(decide, one.id, approve=True, voter=ME, policy=Policy(), note="")

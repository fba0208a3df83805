"""A flow that asks, people who answer, and what to look at afterwards."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from master.approvals import Approval, ApprovalState, Voter, decide, list_approvals
from master.approvals.policy_file import parse_policy
from master.store.tables import events, runs
from tasks.record import Record
from tests.integration.core.conftest import Bench


class Asks(Record):
    """A flow that asks one question; which one, its params say, until they are changed in ``ASKED``."""

    name: str
    until: str = "decided"
    need: str = ""


#: What the flow of this name asks now, where that is not what it began with.
ASKED: dict[str, dict[str, Any]] = {}
ANA, BEA, CAS = (
    Voter(identity=f"telegram:{number}", name=name, door="telegram")
    for number, name in enumerate(("Ana", "Bea", "Cas"))
)
TWO = parse_policy("[PAYMENT]\nquorum = 2\n[people]\nana = ['telegram:0', 'token:ana']", "policy.toml")
EMPTY = parse_policy("", "policy.toml")


def only_request(bench: Bench) -> Approval:
    """The only request that waits."""
    (asked,) = bench.read(lambda c: list_approvals(c, ApprovalState.PENDING))
    return asked


def advanced(bench: Bench, run_id: str) -> Any:
    bench.engine.advance(run_id)
    return bench.read(lambda c: c.execute(select(runs).where(runs.c.id == run_id)).one())


def say_yes(bench: Bench, approval: Approval, voter: Voter = ANA, **given: Any) -> Approval:
    return bench.write(
        decide, approval.id, **{"approve": True, "voter": voter, "policy": EMPTY, "note": ""} | given
    )


def count_events(bench: Bench, name: str) -> int:
    found = bench.read(lambda c: c.execute(select(func.count()).where(events.c.name == name)).scalar_one())
    return int(found)

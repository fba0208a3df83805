"""After a yes: done, with what it cost, or abandoned."""

from __future__ import annotations

import pytest

from master.approvals import ApprovalState, abandon, execute, expire_approvals, list_to_do
from master.ledger import Money
from tasks.errors import InvalidInput, MoveNotAllowed, Refused
from tests.integration.core.approvals.stage import (
    ANA,
    BEA,
    EMPTY,
    advanced,
    count_events,
    only_request,
    say_yes,
)
from tests.integration.core.conftest import Bench


def test_a_run_that_waits_until_it_is_done_goes_on_then_with_what_it_cost(bench: Bench) -> None:
    run_id = bench.start("asks", name="pay", until="executed")
    asked = only_request(bench)
    say_yes(bench, asked)
    assert advanced(bench, run_id).state == "waiting"
    assert [each.id for each in bench.read(list_to_do)] == [asked.id]
    done = {"actual": Money(minor=1100, currency="EUR"), "voter": BEA, "reference": "F-1", "note": ""}
    executed = bench.write(execute, asked.id, **done)
    assert executed.state is ApprovalState.EXECUTED
    assert bench.write(execute, asked.id, **done) == executed, "the same again changes nothing"
    result = advanced(bench, run_id).result
    assert (result["actual_minor"], result["reference"], result["state"]) == (1100, "F-1", "executed")
    assert count_events(bench, "approval_executed") == 1
    with pytest.raises(MoveNotAllowed):
        bench.write(abandon, asked.id, voter=ANA, reason="oh")


def test_more_than_was_approved_or_another_currency_is_refused(bench: Bench) -> None:
    bench.start("asks", name="pay", until="executed")
    asked = only_request(bench)
    done = {"voter": ANA, "reference": "", "note": ""}
    with pytest.raises(MoveNotAllowed):
        bench.write(execute, asked.id, actual=None, **done)
    say_yes(bench, asked)
    with pytest.raises(Refused, match=r"up to 12\.50 EUR and not for 12\.51 EUR"):
        bench.write(execute, asked.id, actual=Money(minor=1251, currency="EUR"), **done)
    with pytest.raises(InvalidInput, match="in EUR"):
        bench.write(execute, asked.id, actual=Money(minor=1250, currency="USD"), **done)


def test_what_is_approved_and_not_done_is_abandoned_by_the_clock_and_said_so(bench: Bench) -> None:
    run_id = bench.start("asks", name="pay", until="executed")
    say_yes(bench, only_request(bench))
    bench.pass_by(31 * 86400)
    assert bench.write(expire_approvals, policy=EMPTY) == 1
    assert bench.write(expire_approvals, policy=EMPTY) == 0
    assert advanced(bench, run_id).result["state"] == "abandoned"

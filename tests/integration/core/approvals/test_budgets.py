"""A yes reserves money, a budget has an end, and small payments pass while it lasts."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import select

from master.approvals import Approval, ApprovalState, abandon, decide, execute, list_approvals
from master.approvals.policy_file import parse_policy
from master.ledger import BudgetExceeded, Money, verify_ledger
from master.ledger.tables import ledger_entries, ledger_postings
from tests.integration.core.approvals.stage import (
    ANA,
    ASKED,
    BEA,
    EMPTY,
    advanced,
    count_events,
    only_request,
    say_yes,
)
from tests.integration.core.conftest import Bench

BUDGET = parse_policy(
    "[[budgets]]\ncategory = 'domains'\nmonth = '20.00 EUR'\nautomatic_up_to = '2.00 EUR'", "policy.toml"
)


def _held(bench: Bench) -> list[tuple[str, str, int]]:
    query = select(ledger_entries.c.kind, ledger_postings.c.account, ledger_postings.c.minor).join(
        ledger_postings, ledger_postings.c.seq == ledger_entries.c.seq
    )
    where = query.where(ledger_postings.c.minor > 0).order_by(ledger_entries.c.seq, ledger_postings.c.number)
    return [tuple(row) for row in bench.read(lambda c: c.execute(where).all())]


def test_a_yes_reserves_and_what_it_cost_in_the_end_is_posted(bench: Bench) -> None:
    bench.start("asks", name="pay", until="executed")
    asked = only_request(bench)
    assert _held(bench) == []
    say_yes(bench, asked)
    assert _held(bench) == [("reserve", "budget:reserved:domains", 1250)]
    actual = Money(minor=1100, currency="EUR")
    bench.write(execute, asked.id, actual=actual, voter=ANA, reference="F-1", note="")
    assert ("settle", "expenses:domains", 1100) in _held(bench)
    assert bench.read(verify_ledger).sound


def test_a_no_reserves_nothing_and_what_is_abandoned_is_free_again(bench: Bench) -> None:
    bench.start("asks", name="no")
    bench.write(decide, only_request(bench).id, approve=False, voter=ANA, policy=EMPTY, note="no")
    assert _held(bench) == []
    bench.start("asks", name="pay")
    asked = only_request(bench)
    say_yes(bench, asked)
    bench.write(abandon, asked.id, voter=ANA, reason="the shop closed")
    assert [kind for kind, _, _ in _held(bench)] == ["reserve", "release"]


def test_a_yes_that_the_budget_has_no_room_for_is_refused_and_nothing_has_happened(bench: Bench) -> None:
    first, second = bench.start("asks", name="one"), bench.start("asks", name="two")
    one, two = sorted(
        bench.read(lambda c: list_approvals(c, ApprovalState.PENDING)), key=lambda a: a.run_id != first
    )
    say_yes(bench, one, policy=BUDGET)
    with pytest.raises(BudgetExceeded, match="domains"):
        say_yes(bench, two, policy=BUDGET)
    assert only_request(bench).id == two.id
    assert advanced(bench, second).state == "waiting"
    assert count_events(bench, "approval_decided") == 1
    bench.write(abandon, one.id, voter=ANA, reason="not needed")
    assert say_yes(bench, two, policy=BUDGET).state is ApprovalState.APPROVED


def test_concurrent_yeses_never_exceed_a_budget(bench: Bench) -> None:
    for number in range(6):
        bench.start("asks", name=f"n{number}")
    waiting = bench.read(lambda c: list_approvals(c, ApprovalState.PENDING))
    meet = threading.Barrier(len(waiting), timeout=20)
    said: list[str] = []

    def vote(asked: Approval) -> None:
        meet.wait()
        try:
            said.append(say_yes(bench, asked, policy=BUDGET).state)
        except BudgetExceeded:
            said.append("no room")

    threads = [threading.Thread(target=vote, args=(asked,)) for asked in waiting]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["approved", *["no room"] * 5]
    assert _held(bench) == [("reserve", "budget:reserved:domains", 1250)]


def test_a_small_payment_passes_only_while_its_budget_line_has_money(bench: Bench) -> None:
    bench.engine = type(bench.engine)(bench.database, bench.settings, bench.clock, lambda: BUDGET)
    for number in range(12):
        ASKED[f"n{number}"] = {"cost_minor": 190}
        bench.start("asks", name=f"n{number}")
    found = bench.read(list_approvals)
    passed = [each for each in found if each.state is ApprovalState.APPROVED]
    assert len(passed) == 10, "ten times 1.90 EUR fit into 20.00 EUR"
    assert {each.door for each in passed} == {"policy"}
    assert all(each.awaits_execution for each in passed), "the owner still pays it"
    ASKED["dear"] = {"cost_minor": 201}
    bench.start("asks", name="dear")
    assert len(bench.read(lambda c: list_approvals(c, ApprovalState.PENDING))) == 3


def test_a_second_yes_that_the_budget_refuses_leaves_no_vote_behind(bench: Bench) -> None:
    tight = parse_policy(
        "[PAYMENT]\nquorum = 2\n[[budgets]]\ncategory = 'domains'\nmonth = '1.00 EUR'", "policy.toml"
    )
    bench.engine = type(bench.engine)(bench.database, bench.settings, bench.clock, lambda: tight)
    bench.start("asks", name="dear")
    asked = only_request(bench)
    say_yes(bench, asked, ANA, policy=tight)

    def both(connection: Any, now: Any) -> None:
        with pytest.raises(BudgetExceeded):
            decide(connection, asked.id, approve=True, voter=BEA, policy=tight, note="", now=now)

    bench.write(both)
    assert [vote.by for vote in only_request(bench).votes] == ["Ana"]

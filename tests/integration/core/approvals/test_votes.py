"""Who decides, and how many it takes."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select

from master.approvals import ApprovalState, NotADecider, Voter, decide, list_approvals, record_refusal
from master.approvals.policy_file import parse_policy
from master.store.tables import outcomes
from tasks.errors import Refused
from tests.integration.core.approvals.stage import (
    ANA,
    BEA,
    CAS,
    EMPTY,
    TWO,
    advanced,
    count_events,
    only_request,
    say_yes,
)
from tests.integration.core.conftest import Bench


def test_a_request_that_needs_two_people_is_decided_by_the_second(bench: Bench) -> None:
    run_id = bench.start("asks", name="one")
    bench.engine = type(bench.engine)(bench.database, bench.settings, bench.clock, lambda: TWO)
    second = bench.start("asks", name="two")
    first_request, asked = sorted(bench.read(list_approvals), key=lambda a: a.run_id != run_id)
    assert first_request.quorum == 1
    half = say_yes(bench, asked, policy=TWO)
    assert (half.state, [vote.by for vote in half.votes]) == (ApprovalState.PENDING, ["Ana"])
    assert advanced(bench, second).state == "waiting"
    again = Voter(identity="token:ana", name="Ana at her desk", door="cli")
    assert say_yes(bench, asked, again, policy=TWO).state is ApprovalState.PENDING, "one person counts once"
    whole = say_yes(bench, asked, BEA, policy=TWO)
    assert whole.state is ApprovalState.APPROVED
    assert advanced(bench, second).result["state"] == "approved"


def test_two_last_voters_at_the_same_time_decide_once(bench: Bench) -> None:
    bench.engine = type(bench.engine)(bench.database, bench.settings, bench.clock, lambda: TWO)
    bench.start("asks", name="both")
    asked = only_request(bench)
    meet = threading.Barrier(2, timeout=20)
    states: list[ApprovalState] = []

    def vote(voter: Voter) -> None:
        meet.wait()
        states.append(say_yes(bench, asked, voter, policy=TWO).state)

    threads = [threading.Thread(target=vote, args=(voter,)) for voter in (ANA, BEA)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ApprovalState.APPROVED in states
    assert count_events(bench, "approval_decided") == 1
    assert bench.read(lambda c: c.execute(select(func.count()).select_from(outcomes)).scalar_one()) == 1


def test_one_no_is_a_no_however_many_a_yes_needs(bench: Bench) -> None:
    bench.engine = type(bench.engine)(bench.database, bench.settings, bench.clock, lambda: TWO)
    run_id = bench.start("asks", name="no")
    asked = only_request(bench)
    say_yes(bench, asked, policy=TWO)
    bench.write(decide, asked.id, approve=False, voter=BEA, policy=TWO, note="too dear")
    assert advanced(bench, run_id).result["note"] == "too dear"


def test_who_may_not_decide_is_told_and_recorded(bench: Bench) -> None:
    run_id = bench.start("asks", name="mine")
    only_bea = parse_policy("[PAYMENT]\ndeciders = ['telegram:1']", "policy.toml")
    asked = only_request(bench)
    with pytest.raises(NotADecider, match="Cas may not decide") as refused:
        say_yes(bench, asked, CAS, policy=only_bea)
    bench.write(record_refusal, asked.id, CAS, str(refused.value))
    assert count_events(bench, "approval_refused") == 1
    assert advanced(bench, run_id).state == "waiting"
    assert say_yes(bench, asked, BEA, policy=only_bea).state is ApprovalState.APPROVED


def test_the_same_yes_again_changes_nothing_and_another_answer_is_refused(bench: Bench) -> None:
    bench.start("asks", name="twice")
    asked = only_request(bench)
    assert say_yes(bench, asked) == say_yes(bench, asked)
    with pytest.raises(Refused, match="already approved by Ana"):
        say_yes(bench, asked, BEA)
    with pytest.raises(Refused, match="already approved by Ana"):
        bench.write(decide, asked.id, approve=False, voter=BEA, policy=EMPTY, note="no")
    assert count_events(bench, "approval_decided") == 1

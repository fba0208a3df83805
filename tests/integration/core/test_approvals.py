"""What is asked, decided and done, on both databases: one decision, one wake-up, whoever answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from master.approvals import (
    Approval,
    ApprovalState,
    NotADecider,
    Superseded,
    Voter,
    abandon,
    decide,
    execute,
    expire_approvals,
    list_approvals,
    list_to_do,
    record_refusal,
)
from master.approvals.answer import Settlement, settle
from master.approvals.policy_file import parse_policy
from master.approvals.tables import approval_revisions
from master.capabilities import load_capabilities
from master.dispatch.conductor import Conductor, write_directly
from master.duties import Duties
from master.fleet.notices import list_notices
from master.flows import ApprovalType, FlowContext, Question, flow
from master.flows.registry import _FLOWS
from master.flows.runs import cancel_run, start_run
from master.ledger import BudgetExceeded, Money, verify_ledger
from master.ledger.tables import ledger_entries, ledger_postings
from master.store.tables import events, outcomes, runs, steps
from tasks.errors import InvalidInput, MoveNotAllowed, Refused
from tasks.record import Record
from tests.integration.core.conftest import Bench


class Asks(Record):
    """A flow that asks one question; which one, its params say, until they are changed in ``ASKED``."""

    name: str
    until: str = "decided"
    need: str = ""


class SilentBell:
    def send_tickets(self, postings: Any) -> None:
        """Nobody listens here."""

    def send_pass(self, run_id: str) -> None:
        """Nobody listens here."""


#: What the flow of this name asks now, where that is not what it began with.
ASKED: dict[str, dict[str, Any]] = {}
ANA, BEA, CAS = (
    Voter(identity=f"telegram:{number}", name=name, door="telegram")
    for number, name in enumerate(("Ana", "Bea", "Cas"))
)
TWO = parse_policy("[PAYMENT]\nquorum = 2\n[people]\nana = ['telegram:0', 'token:ana']", "policy.toml")
EMPTY = parse_policy("", "policy.toml")


@pytest.fixture(autouse=True)
def _asking_flow() -> Iterator[None]:
    load_capabilities()
    before = dict(_FLOWS)
    ASKED.clear()

    @flow("asks", params=Asks)
    def asks(ctx: FlowContext, params: Asks) -> dict[str, Any]:
        given = {
            "type": ApprovalType.PAYMENT,
            "title": f"Buy {params.name}?",
            "reason": "Because.",
            "cost_minor": 1250,
            "category": "domains",
            "until": params.until,
            "need": params.need,
            **ASKED.get(params.name, {}),
        }
        decision = ctx.ask("ask", Question.model_validate(given))
        return decision.model_dump(mode="json")

    yield
    _FLOWS.clear()
    _FLOWS.update(before)


def _asked(bench: Bench) -> Approval:
    """The only request that waits."""
    (asked,) = bench.read(lambda c: list_approvals(c, ApprovalState.PENDING))
    return asked


def _run(bench: Bench, run_id: str) -> Any:
    bench.engine.advance(run_id)
    return bench.read(lambda c: c.execute(select(runs).where(runs.c.id == run_id)).one())


def _yes(bench: Bench, approval: Approval, voter: Voter = ANA, **given: Any) -> Approval:
    return bench.write(
        decide, approval.id, **{"approve": True, "voter": voter, "policy": EMPTY, "note": ""} | given
    )


def _count(bench: Bench, name: str) -> int:
    found = bench.read(lambda c: c.execute(select(func.count()).where(events.c.name == name)).scalar_one())
    return int(found)


def test_a_request_that_needs_two_people_is_decided_by_the_second(bench: Bench) -> None:
    run_id = bench.start("asks", name="one")
    bench.engine = type(bench.engine)(bench.database, bench.settings, bench.clock, lambda: TWO)
    second = bench.start("asks", name="two")
    first_request, asked = sorted(bench.read(list_approvals), key=lambda a: a.run_id != run_id)
    assert first_request.quorum == 1
    half = _yes(bench, asked, policy=TWO)
    assert (half.state, [vote.by for vote in half.votes]) == (ApprovalState.PENDING, ["Ana"])
    assert _run(bench, second).state == "waiting"
    again = Voter(identity="token:ana", name="Ana at her desk", door="cli")
    assert _yes(bench, asked, again, policy=TWO).state is ApprovalState.PENDING, "one person counts once"
    whole = _yes(bench, asked, BEA, policy=TWO)
    assert whole.state is ApprovalState.APPROVED
    assert _run(bench, second).result["state"] == "approved"


def test_two_last_voters_at_the_same_time_decide_once(bench: Bench) -> None:
    bench.engine = type(bench.engine)(bench.database, bench.settings, bench.clock, lambda: TWO)
    bench.start("asks", name="both")
    asked = _asked(bench)
    meet = threading.Barrier(2, timeout=20)
    states: list[ApprovalState] = []

    def vote(voter: Voter) -> None:
        meet.wait()
        states.append(_yes(bench, asked, voter, policy=TWO).state)

    threads = [threading.Thread(target=vote, args=(voter,)) for voter in (ANA, BEA)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ApprovalState.APPROVED in states
    assert _count(bench, "approval_decided") == 1
    assert bench.read(lambda c: c.execute(select(func.count()).select_from(outcomes)).scalar_one()) == 1


def test_one_no_is_a_no_however_many_a_yes_needs(bench: Bench) -> None:
    bench.engine = type(bench.engine)(bench.database, bench.settings, bench.clock, lambda: TWO)
    run_id = bench.start("asks", name="no")
    asked = _asked(bench)
    _yes(bench, asked, policy=TWO)
    bench.write(decide, asked.id, approve=False, voter=BEA, policy=TWO, note="too dear")
    assert _run(bench, run_id).result["note"] == "too dear"


def test_a_question_that_changes_while_it_waits_is_a_new_revision_and_old_answers_are_refused(
    bench: Bench,
) -> None:
    run_id = bench.start("asks", name="changing")
    old = _asked(bench)
    ASKED["changing"] = {"cost_minor": 9900}
    bench.write(lambda c, now: c.execute(runs.update().values(wake=runs.c.wake + 1)))
    bench.engine.advance(run_id)
    new = _asked(bench)
    assert (new.id, new.revision, new.cost_minor) == (old.id, 2, 9900)
    with pytest.raises(Superseded):
        _yes(bench, old, digest=old.digest)
    with pytest.raises(Superseded):
        _yes(bench, old, revision=old.revision)
    kept = bench.read(lambda c: c.execute(select(approval_revisions)).one())
    assert (kept.revision, kept.question["cost_minor"]) == (1, 1250)
    _yes(bench, new, digest=new.digest, revision=2)
    assert _run(bench, run_id).result["state"] == "approved"


def test_other_words_for_the_same_question_change_nothing(bench: Bench) -> None:
    run_id = bench.start("asks", name="worded")
    before = _asked(bench)
    ASKED["worded"] = {"reason": "Because, to put it better.", "expires_s": 3600}
    bench.write(lambda c, now: c.execute(runs.update().values(wake=runs.c.wake + 1)))
    bench.engine.advance(run_id)
    assert _asked(bench) == before


def test_a_yes_is_good_for_exactly_what_was_asked(bench: Bench) -> None:
    run_id = bench.start("asks", name="dearer")
    _yes(bench, _asked(bench))
    ASKED["dearer"] = {"cost_minor": 99_900}
    assert _run(bench, run_id).state == "waiting"
    asked = _asked(bench)
    assert asked.cost_minor == 99_900
    bench.write(decide, asked.id, approve=False, voter=ANA, policy=EMPTY, note="no")
    assert _run(bench, run_id).result["state"] == "rejected"


def test_the_same_need_is_asked_once_and_its_answer_wakes_everyone(bench: Bench) -> None:
    started = [bench.start("asks", name="same", need="domain:tapas.es") for _ in range(3)]
    _yes(bench, _asked(bench))
    assert [_run(bench, run_id).result["state"] for run_id in started] == ["approved"] * 3
    assert len(bench.read(list_approvals)) == 1


def test_a_need_that_was_refused_a_short_while_ago_gets_the_same_no(bench: Bench) -> None:
    bench.start("asks", name="same", need="domain:tapas.es")
    bench.write(decide, _asked(bench).id, approve=False, voter=ANA, policy=EMPTY, note="not now")
    again = bench.start("asks", name="same", need="domain:tapas.es")
    assert _run(bench, again).result["note"] == "not now"
    bench.pass_by(86401)
    bench.start("asks", name="same", need="domain:tapas.es")
    assert _asked(bench)


def test_a_newer_question_about_the_same_need_takes_the_older_ones_place(bench: Bench) -> None:
    first = bench.start("asks", name="old", need="domain:tapas.es")
    old = _asked(bench)
    ASKED["new"] = {"cost_minor": 990}
    second = bench.start("asks", name="new", need="domain:tapas.es")
    new = _asked(bench)
    with pytest.raises(Refused, match="superseded"):
        _yes(bench, old)
    replaced = bench.read(lambda c: list_approvals(c, ApprovalState.SUPERSEDED))
    assert [each.replaced_by for each in replaced] == [new.id]
    _yes(bench, new)
    assert _run(bench, first).result["state"] == _run(bench, second).result["state"] == "approved"


def test_a_run_that_waits_until_it_is_done_goes_on_then_with_what_it_cost(bench: Bench) -> None:
    run_id = bench.start("asks", name="pay", until="executed")
    asked = _asked(bench)
    _yes(bench, asked)
    assert _run(bench, run_id).state == "waiting"
    assert [each.id for each in bench.read(list_to_do)] == [asked.id]
    done = {"actual": Money(minor=1100, currency="EUR"), "voter": BEA, "reference": "F-1", "note": ""}
    executed = bench.write(execute, asked.id, **done)
    assert executed.state is ApprovalState.EXECUTED
    assert bench.write(execute, asked.id, **done) == executed, "the same again changes nothing"
    result = _run(bench, run_id).result
    assert (result["actual_minor"], result["reference"], result["state"]) == (1100, "F-1", "executed")
    assert _count(bench, "approval_executed") == 1
    with pytest.raises(MoveNotAllowed):
        bench.write(abandon, asked.id, voter=ANA, reason="oh")


def test_more_than_was_approved_or_another_currency_is_refused(bench: Bench) -> None:
    bench.start("asks", name="pay", until="executed")
    asked = _asked(bench)
    done = {"voter": ANA, "reference": "", "note": ""}
    with pytest.raises(MoveNotAllowed):
        bench.write(execute, asked.id, actual=None, **done)
    _yes(bench, asked)
    with pytest.raises(Refused, match=r"up to 12\.50 EUR and not for 12\.51 EUR"):
        bench.write(execute, asked.id, actual=Money(minor=1251, currency="EUR"), **done)
    with pytest.raises(InvalidInput, match="in EUR"):
        bench.write(execute, asked.id, actual=Money(minor=1250, currency="USD"), **done)


def test_what_is_approved_and_not_done_is_abandoned_by_the_clock_and_said_so(bench: Bench) -> None:
    run_id = bench.start("asks", name="pay", until="executed")
    _yes(bench, _asked(bench))
    bench.pass_by(31 * 86400)
    assert bench.write(expire_approvals, policy=EMPTY) == 1
    assert bench.write(expire_approvals, policy=EMPTY) == 0
    assert _run(bench, run_id).result["state"] == "abandoned"


def test_silence_is_a_no(bench: Bench) -> None:
    run_id = bench.start("asks", name="silence")
    bench.pass_by(7 * 86400)
    with pytest.raises(Refused, match="expired"):
        _yes(bench, _asked(bench))
    assert bench.write(expire_approvals, policy=EMPTY) == 1
    assert _run(bench, run_id).result["state"] == "expired"


def test_cancelling_one_of_two_runs_that_wait_keeps_the_question_open(bench: Bench) -> None:
    first, second = (bench.start("asks", name="same", need="domain:tapas.es") for _ in range(2))
    bench.write(cancel_run, first, by="ana")
    assert _asked(bench).run_id == second
    bench.write(cancel_run, second, by="ana")
    assert [each.state for each in bench.read(list_approvals)] == [ApprovalState.CANCELLED]


def test_who_may_not_decide_is_told_and_recorded(bench: Bench) -> None:
    run_id = bench.start("asks", name="mine")
    only_bea = parse_policy("[PAYMENT]\ndeciders = ['telegram:1']", "policy.toml")
    asked = _asked(bench)
    with pytest.raises(NotADecider, match="Cas may not decide") as refused:
        _yes(bench, asked, CAS, policy=only_bea)
    bench.write(record_refusal, asked.id, CAS, str(refused.value))
    assert _count(bench, "approval_refused") == 1
    assert _run(bench, run_id).state == "waiting"
    assert _yes(bench, asked, BEA, policy=only_bea).state is ApprovalState.APPROVED


def test_the_same_yes_again_changes_nothing_and_another_answer_is_refused(bench: Bench) -> None:
    bench.start("asks", name="twice")
    asked = _asked(bench)
    assert _yes(bench, asked) == _yes(bench, asked)
    with pytest.raises(Refused, match="already approved by Ana"):
        _yes(bench, asked, BEA)
    with pytest.raises(Refused, match="already approved by Ana"):
        bench.write(decide, asked.id, approve=False, voter=BEA, policy=EMPTY, note="no")
    assert _count(bench, "approval_decided") == 1


def test_rules_that_cannot_be_read_ask_nothing_and_lose_nothing(bench: Bench) -> None:
    place = bench.settings.policy_path
    place.write_text("quorum = lots")
    run_id = bench.write(start_run, "asks", {"name": "x"})
    with pytest.raises(InvalidInput, match=r"policy\.toml"):
        bench.engine.advance(run_id)
    assert bench.read(list_approvals) == []
    place.write_text("")
    assert _run(bench, run_id).state == "waiting"
    assert bench.read(lambda c: c.execute(select(steps.c.state)).scalars().all()) == ["waiting"]


def test_rules_that_cannot_be_read_stop_no_other_duty_and_the_owner_is_told(bench: Bench) -> None:
    bell = SilentBell()
    conductor = Conductor(bench.database, write_directly(bench.database), bell, bench.settings, bench.clock)
    duties = Duties(bench.database, bench.engine, conductor, bell, bench.settings, bench.clock)
    place = bench.settings.policy_path
    place.write_text("quorum = lots")
    asks = bench.write(start_run, "asks", {"name": "x"})
    works = bench.write(start_run, "noop", {})
    duties.sweep()
    assert bench.read(lambda c: c.execute(select(steps.c.run_id)).scalars().all()) == [works]
    (notice,) = bench.read(list_notices)
    assert "policy.toml" in notice.data["reason"]
    place.write_text("")
    duties.sweep()
    assert _asked(bench).run_id == asks
    assert bench.read(list_notices) == []
    conductor.close()


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
    asked = _asked(bench)
    assert _held(bench) == []
    _yes(bench, asked)
    assert _held(bench) == [("reserve", "budget:reserved:domains", 1250)]
    actual = Money(minor=1100, currency="EUR")
    bench.write(execute, asked.id, actual=actual, voter=ANA, reference="F-1", note="")
    assert ("settle", "expenses:domains", 1100) in _held(bench)
    assert bench.read(verify_ledger).sound


def test_a_no_reserves_nothing_and_what_is_abandoned_is_free_again(bench: Bench) -> None:
    bench.start("asks", name="no")
    bench.write(decide, _asked(bench).id, approve=False, voter=ANA, policy=EMPTY, note="no")
    assert _held(bench) == []
    bench.start("asks", name="pay")
    asked = _asked(bench)
    _yes(bench, asked)
    bench.write(abandon, asked.id, voter=ANA, reason="the shop closed")
    assert [kind for kind, _, _ in _held(bench)] == ["reserve", "release"]


def test_a_yes_that_the_budget_has_no_room_for_is_refused_and_nothing_has_happened(bench: Bench) -> None:
    first, second = bench.start("asks", name="one"), bench.start("asks", name="two")
    one, two = sorted(
        bench.read(lambda c: list_approvals(c, ApprovalState.PENDING)), key=lambda a: a.run_id != first
    )
    _yes(bench, one, policy=BUDGET)
    with pytest.raises(BudgetExceeded, match="domains"):
        _yes(bench, two, policy=BUDGET)
    assert _asked(bench).id == two.id
    assert _run(bench, second).state == "waiting"
    assert _count(bench, "approval_decided") == 1
    bench.write(abandon, one.id, voter=ANA, reason="not needed")
    assert _yes(bench, two, policy=BUDGET).state is ApprovalState.APPROVED


def test_concurrent_yeses_never_exceed_a_budget(bench: Bench) -> None:
    for number in range(6):
        bench.start("asks", name=f"n{number}")
    waiting = bench.read(lambda c: list_approvals(c, ApprovalState.PENDING))
    meet = threading.Barrier(len(waiting), timeout=20)
    said: list[str] = []

    def vote(asked: Approval) -> None:
        meet.wait()
        try:
            said.append(_yes(bench, asked, policy=BUDGET).state)
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
    asked = _asked(bench)
    _yes(bench, asked, ANA, policy=tight)

    def both(connection: Any, now: Any) -> None:
        with pytest.raises(BudgetExceeded):
            decide(connection, asked.id, approve=True, voter=BEA, policy=tight, note="", now=now)

    bench.write(both)
    assert [vote.by for vote in _asked(bench).votes] == ["Ana"]


def test_an_answer_that_read_the_old_revision_does_not_decide_the_new_one(bench: Bench) -> None:
    """Between looking and deciding, on Postgres, the question may have changed."""
    run_id = bench.start("asks", name="changing")
    read_before = _asked(bench)
    ASKED["changing"] = {"cost_minor": 9900}
    bench.write(lambda c, now: c.execute(runs.update().values(wake=runs.c.wake + 1)))
    bench.engine.advance(run_id)
    yes = Settlement(state=ApprovalState.APPROVED, voter=ANA, note="")
    assert bench.write(settle, read_before, yes, policy=EMPTY) is False
    assert _asked(bench).revision == 2

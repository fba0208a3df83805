"""Questions that change, that several runs ask, and that nobody answers."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from master.approvals import ApprovalState, Superseded, decide, expire_approvals, list_approvals
from master.approvals.answer import Settlement, settle
from master.approvals.tables import approval_revisions
from master.flows.runs import cancel_run
from master.store.tables import runs
from tasks.errors import Refused
from tests.integration.core.approvals.stage import ANA, ASKED, EMPTY, advanced, only_request, say_yes
from tests.integration.core.conftest import Bench


def test_a_question_that_changes_while_it_waits_is_a_new_revision_and_old_answers_are_refused(
    bench: Bench,
) -> None:
    run_id = bench.start("asks", name="changing")
    old = only_request(bench)
    ASKED["changing"] = {"cost_minor": 9900}
    bench.write(lambda c, now: c.execute(runs.update().values(wake=runs.c.wake + 1)))
    bench.engine.advance(run_id)
    new = only_request(bench)
    assert (new.id, new.revision, new.cost_minor) == (old.id, 2, 9900)
    with pytest.raises(Superseded):
        say_yes(bench, old, digest=old.digest)
    with pytest.raises(Superseded):
        say_yes(bench, old, revision=old.revision)
    kept = bench.read(lambda c: c.execute(select(approval_revisions)).one())
    assert (kept.revision, kept.question["cost_minor"]) == (1, 1250)
    say_yes(bench, new, digest=new.digest, revision=2)
    assert advanced(bench, run_id).result["state"] == "approved"


def test_other_words_for_the_same_question_change_nothing(bench: Bench) -> None:
    run_id = bench.start("asks", name="worded")
    before = only_request(bench)
    ASKED["worded"] = {"reason": "Because, to put it better.", "expires_s": 3600}
    bench.write(lambda c, now: c.execute(runs.update().values(wake=runs.c.wake + 1)))
    bench.engine.advance(run_id)
    assert only_request(bench) == before


def test_a_yes_is_good_for_exactly_what_was_asked(bench: Bench) -> None:
    run_id = bench.start("asks", name="dearer")
    say_yes(bench, only_request(bench))
    ASKED["dearer"] = {"cost_minor": 99_900}
    assert advanced(bench, run_id).state == "waiting"
    asked = only_request(bench)
    assert asked.cost_minor == 99_900
    bench.write(decide, asked.id, approve=False, voter=ANA, policy=EMPTY, note="no")
    assert advanced(bench, run_id).result["state"] == "rejected"


def test_the_same_need_is_asked_once_and_its_answer_wakes_everyone(bench: Bench) -> None:
    started = [bench.start("asks", name="same", need="domain:tapas.es") for _ in range(3)]
    say_yes(bench, only_request(bench))
    assert [advanced(bench, run_id).result["state"] for run_id in started] == ["approved"] * 3
    assert len(bench.read(list_approvals)) == 1


def test_a_need_that_was_refused_a_short_while_ago_gets_the_same_no(bench: Bench) -> None:
    bench.start("asks", name="same", need="domain:tapas.es")
    bench.write(decide, only_request(bench).id, approve=False, voter=ANA, policy=EMPTY, note="not now")
    again = bench.start("asks", name="same", need="domain:tapas.es")
    assert advanced(bench, again).result["note"] == "not now"
    bench.pass_by(86401)
    bench.start("asks", name="same", need="domain:tapas.es")
    assert only_request(bench)


def test_a_newer_question_about_the_same_need_takes_the_older_ones_place(bench: Bench) -> None:
    first = bench.start("asks", name="old", need="domain:tapas.es")
    old = only_request(bench)
    ASKED["new"] = {"cost_minor": 990}
    second = bench.start("asks", name="new", need="domain:tapas.es")
    new = only_request(bench)
    with pytest.raises(Refused, match="superseded"):
        say_yes(bench, old)
    replaced = bench.read(lambda c: list_approvals(c, ApprovalState.SUPERSEDED))
    assert [each.replaced_by for each in replaced] == [new.id]
    say_yes(bench, new)
    assert advanced(bench, first).result["state"] == advanced(bench, second).result["state"] == "approved"


def test_silence_is_a_no(bench: Bench) -> None:
    run_id = bench.start("asks", name="silence")
    bench.pass_by(7 * 86400)
    with pytest.raises(Refused, match="expired"):
        say_yes(bench, only_request(bench))
    assert bench.write(expire_approvals, policy=EMPTY) == 1
    assert advanced(bench, run_id).result["state"] == "expired"


def test_cancelling_one_of_two_runs_that_wait_keeps_the_question_open(bench: Bench) -> None:
    first, second = (bench.start("asks", name="same", need="domain:tapas.es") for _ in range(2))
    bench.write(cancel_run, first, by="ana")
    assert only_request(bench).run_id == second
    bench.write(cancel_run, second, by="ana")
    assert [each.state for each in bench.read(list_approvals)] == [ApprovalState.CANCELLED]


def test_an_answer_that_read_the_old_revision_does_not_decide_the_new_one(bench: Bench) -> None:
    """Between looking and deciding, on Postgres, the question may have changed."""
    run_id = bench.start("asks", name="changing")
    read_before = only_request(bench)
    ASKED["changing"] = {"cost_minor": 9900}
    bench.write(lambda c, now: c.execute(runs.update().values(wake=runs.c.wake + 1)))
    bench.engine.advance(run_id)
    yes = Settlement(state=ApprovalState.APPROVED, voter=ANA, note="")
    assert bench.write(settle, read_before, yes, policy=EMPTY) is False
    assert only_request(bench).revision == 2

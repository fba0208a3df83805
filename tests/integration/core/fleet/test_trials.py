"""Other builds: updates, canaries, and a worker that is put aside."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from master.fleet.roster import ask_update, drain_worker, remove_worker
from master.fleet.strikes import note_success_elsewhere
from master.store.tables import runs, workers
from master.trials import close_canaries, start_canaries
from tasks.errors import Refused
from tasks.protocol import Failure, Grant
from tests.integration.core.conftest import BUILD, Bench
from tests.integration.core.fleet.stage import beat, claim, join, open_kinds, report, standing


def test_worker_on_trial_gets_its_canary_and_nothing_else(bench: Bench) -> None:
    bench.write(remove_worker, "one", by="owner")
    welcome = join(bench, "fresh", trial_from="a" * 12)
    assert welcome.state == "joining"
    bench.start(steps=1)
    bench.write(start_canaries)
    bench.write(start_canaries)
    (canary,) = bench.read(
        lambda c: c.execute(select(runs.c.id).where(runs.c.flow == "canary")).scalars().all()
    )
    bench.engine.advance(canary)
    (posting,) = bench.publish()
    assert posting.task == "fleet.canary"
    grant = claim(bench, posting, "fresh")
    assert isinstance(grant, Grant)
    report(bench, grant, "fresh", result={"tasks": ["fleet.noop"], "build": BUILD})
    bench.engine.advance(canary)
    assert standing(bench, "fresh")["state"] == "active"
    assert [posting.task for posting in bench.publish()] == ["fleet.noop"]


def test_canary_that_fails_puts_the_worker_aside(bench: Bench) -> None:
    join(bench, "fresh", trial_from="a" * 12)
    bench.write(start_canaries)
    (canary,) = bench.read(
        lambda c: c.execute(select(runs.c.id).where(runs.c.flow == "canary")).scalars().all()
    )
    bench.engine.advance(canary)
    (posting,) = bench.publish()
    grant = claim(bench, posting, "fresh")
    assert isinstance(grant, Grant)
    report(bench, grant, "fresh", failure=Failure.PERMANENT, error="no library x")
    bench.engine.advance(canary)
    assert standing(bench, "fresh")["state"] == "quarantined"
    assert "no library x" in standing(bench, "fresh")["reason"]
    # Its keeper takes it back to what it ran before.
    welcome = join(
        bench, "fresh", build="a" * 12, update_error="no library x", auto_update=True, can_update=True
    )
    assert (welcome.state, welcome.update_to) == ("wrong_build", ""), "it is not tried for ever"


def test_canary_of_a_trial_that_is_over_is_cancelled(bench: Bench) -> None:
    join(bench, "fresh", trial_from="a" * 12)
    bench.write(start_canaries)
    bench.write(close_canaries)
    states = select(runs.c.state).where(runs.c.flow == "canary")
    assert bench.read(lambda c: c.execute(states).scalars().all()) == ["running"]
    join(bench, "fresh", build="a" * 12, session="session-9")
    bench.write(close_canaries)
    assert bench.read(lambda c: c.execute(states).scalars().all()) == ["cancelled"]


def test_outdated_worker_updates_itself_only_where_its_owner_allowed_it(bench: Bench) -> None:
    by_itself = join(bench, "auto", build="a" * 12, can_update=True, auto_update=True)
    asked = join(bench, "asked", build="a" * 12, can_update=True)
    assert (by_itself.update_to, asked.update_to) == (BUILD, "")
    assert bench.write(ask_update, "asked", by="owner") == BUILD
    assert beat(bench, "asked").update_to == BUILD
    join(bench, "bare", build="a" * 12)
    with pytest.raises(Refused, match="started bare"):
        bench.write(ask_update, "bare", by="owner")


def test_new_build_asks_again_for_what_failed_with_the_last_one(bench: Bench) -> None:
    join(bench, "auto", build="a" * 12, can_update=True, auto_update=True, update_error="broken")
    assert beat(bench, "auto").update_to == ""
    bench.install("c" * 12)
    assert beat(bench, "auto").update_to == "c" * 12


def test_worker_on_which_a_task_fails_that_succeeds_elsewhere_is_quarantined(bench: Bench) -> None:
    join(bench, "bad")
    join(bench, "good")
    bench.write(remove_worker, "one", by="owner")
    for number in range(3):
        assert standing(bench, "bad")["state"] == "active"
        bench.start(steps=1)
        (posting,) = bench.publish()
        first = claim(bench, posting, "bad", f"claim-a{number}")
        assert isinstance(first, Grant)
        report(bench, first, "bad", failure=Failure.CRASHED, error="its process died")
        (again,) = bench.publish()
        assert again.sent_to == "good", "another worker tries next"
        second = claim(bench, again, "good", f"claim-b{number}")
        assert isinstance(second, Grant)
        report(bench, second, "good", result={"echo": "", "started_at_s": 1.0})
        bench.write(note_success_elsewhere, second.step)
    assert standing(bench, "bad")["state"] == "quarantined"
    assert open_kinds(bench) == ["worker_quarantined"]
    bench.write(drain_worker, "bad", resume=True, by="owner")
    assert standing(bench, "bad")["state"] == "active"
    assert open_kinds(bench) == []


def test_quarantine_survives_a_crash_of_the_worker_but_not_another_build(bench: Bench) -> None:
    with bench.database.write() as connection:
        connection.execute(update(workers).values(state="quarantined", reason="three strikes"))
    assert bench.join(session="session-2").state == "quarantined"
    bench.install("c" * 12)
    assert bench.join(session="session-3", build="c" * 12).state == "active"

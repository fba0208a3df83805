"""Who may join, who gets what, who is put aside: on real databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from master.dispatch.claims import record_report
from master.dispatch.publish import ring_again
from master.fleet.invites import create_invite, redeem_invite
from master.fleet.notices import list_notices
from master.fleet.paces import note_paces
from master.fleet.roster import ask_update, drain_worker, list_workers, remove_worker
from master.fleet.strikes import note_success_elsewhere
from master.fleet.workers import hear_worker, join_worker, leave_worker, miss_workers, model_servers
from master.flows.runs import show_run
from master.store.tables import events, paces, runs, steps, tokens, workers
from master.tokens import find_principal
from master.trials import close_canaries, start_canaries
from tasks.errors import NotFound, Refused
from tasks.needs import Needs
from tasks.protocol import Failure, Gpu, Grant, Heartbeat, Join, ModelServerStats, Redeem, Refusal, Report
from tests.integration.core.conftest import BUILD, HARDWARE, Bench

GPU = HARDWARE.model_copy(update={"gpus": (Gpu(name="card", memory_mib=24_000),)})
SANDBOX = HARDWARE.model_copy(update={"executors": ("docker",)})


def join(bench: Bench, name: str, **more: Any) -> Any:
    values = {
        "worker": name, "session": f"session-{name}", "build": BUILD, "lanes": ("cpu",), "slots": 2, "host": "h",
        "hardware": HARDWARE, **more,
    }  # fmt: skip
    return bench.write(join_worker, Join(**values), heartbeat_s=30)


def beat(bench: Bench, name: str, **more: Any) -> Any:
    message = Heartbeat(worker=name, session=f"session-{name}", hardware=HARDWARE, **more)
    return bench.write(hear_worker, message, heartbeat_s=30)


def standing(bench: Bench, name: str) -> dict[str, Any]:
    return next(worker for worker in bench.read(list_workers) if worker["name"] == name)


def claim(bench: Bench, posting: Any, name: str, claim: str = "claim-01") -> Grant | Refusal:
    return bench.claim(posting.ticket, name, session=f"session-{name}", claim=claim)


def set_needs(bench: Bench, needs: Needs, **more: Any) -> None:
    with bench.database.write() as connection:
        connection.execute(update(steps).values(needs=needs.model_dump_json(), **more))


def open_kinds(bench: Bench) -> list[str]:
    return [notice.kind for notice in bench.read(list_notices)]


def test_invite_is_good_for_one_machine_and_gives_it_a_token_of_its_own(bench: Bench) -> None:
    code, _ = bench.write(create_invite, "garage", by="owner", lasts=timedelta(hours=1))
    token = bench.write(redeem_invite, Redeem(invite=code, worker="garage"))
    principal = bench.read(lambda c: find_principal(c, token, now=bench.now))
    assert principal is not None
    assert (principal.scope, principal.worker) == ("worker", "garage")
    assert token not in str(bench.read(lambda c: c.execute(select(tokens)).all())), "only its digest is kept"
    with pytest.raises(Refused, match="was used"):
        bench.write(redeem_invite, Redeem(invite=code, worker="garage"))


def test_invite_expires(bench: Bench) -> None:
    code, _ = bench.write(create_invite, "", by="owner", lasts=timedelta(hours=1))
    bench.pass_by(3601)
    with pytest.raises(Refused, match="expired"):
        bench.write(redeem_invite, Redeem(invite=code, worker="garage"))


def test_invite_is_no_way_to_take_the_name_of_a_worker_that_works(bench: Bench) -> None:
    code, _ = bench.write(create_invite, "", by="owner", lasts=timedelta(hours=1))
    with pytest.raises(Refused, match="already"):
        bench.write(redeem_invite, Redeem(invite=code, worker="one"))


def test_invite_for_one_name_does_not_serve_another(bench: Bench) -> None:
    code, _ = bench.write(create_invite, "garage", by="owner", lasts=timedelta(hours=1))
    with pytest.raises(Refused, match="'garage'"):
        bench.write(redeem_invite, Redeem(invite=code, worker="attic"))


def test_removed_worker_loses_its_token_and_its_steps_and_is_not_heard(bench: Bench) -> None:
    code, _ = bench.write(create_invite, "garage", by="owner", lasts=timedelta(hours=1))
    token = bench.write(redeem_invite, Redeem(invite=code, worker="garage"))
    bench.write(remove_worker, "one", by="owner")
    join(bench, "garage")
    bench.start(steps=1)
    (posting,) = bench.publish()
    granted = claim(bench, posting, "garage")
    assert isinstance(granted, Grant)
    bench.write(remove_worker, "garage", by="owner")
    assert bench.read(lambda c: find_principal(c, token, now=bench.now)) is None
    assert bench.step(granted.step).state == "ready"
    assert "garage" not in [worker["name"] for worker in bench.read(list_workers)]
    with pytest.raises(Refused, match="removed"):
        beat(bench, "garage")


def test_invited_machine_that_was_never_started_is_not_missed(bench: Bench) -> None:
    code, _ = bench.write(create_invite, "garage", by="owner", lasts=timedelta(hours=1))
    bench.write(redeem_invite, Redeem(invite=code, worker="garage"))
    bench.pass_by(3600)
    bench.write(miss_workers, heartbeat_s=30)
    assert standing(bench, "garage")["state"] == "joining"


def test_step_for_the_gpu_lane_is_refused_to_a_worker_without_one(bench: Bench) -> None:
    join(bench, "card", lanes=("cpu", "gpu"), hardware=GPU)
    bench.start(steps=1)
    with bench.database.write() as connection:
        connection.execute(update(steps).values(lanes="gpu"))
    (posting,) = bench.publish()
    refused = claim(bench, posting, "one")
    assert isinstance(bench.claim(posting.ticket, "one"), Refusal)
    assert isinstance(refused, Refusal)
    assert isinstance(claim(bench, posting, "card"), Grant)


def test_step_goes_to_the_worker_that_has_what_it_needs_and_no_other_may_claim_it(bench: Bench) -> None:
    join(bench, "safe", hardware=SANDBOX)
    bench.start(steps=1)
    set_needs(bench, Needs(executor="docker"))
    (posting,) = bench.publish()
    assert posting.queue == f"d8.@safe.{BUILD}"
    refused = bench.claim(posting.ticket, "one")
    assert isinstance(refused, Refusal)
    assert "executor 'docker'" in refused.refused
    assert isinstance(claim(bench, posting, "safe"), Grant)


def test_step_that_no_known_worker_can_ever_run_says_so_at_once(bench: Bench) -> None:
    run_id = bench.start(steps=1)
    set_needs(bench, Needs(gpu_memory_mib=80_000))
    assert bench.publish() == []
    (step,) = bench.read(lambda c: c.execute(select(steps)).all())
    assert step.state == "failed"
    assert "one: it wants a GPU with 80000 MiB, the largest here has 0 MiB" in step.error
    assert f"d8 run retry {run_id}" in step.error
    bench.engine.advance(run_id)
    assert bench.read(lambda c: c.execute(select(runs.c.state)).scalar()) == "failed"


def test_step_waits_for_a_fitting_worker_that_is_only_away(bench: Bench) -> None:
    join(bench, "card", lanes=("cpu", "gpu"), hardware=GPU)
    bye = Heartbeat(worker="card", session="session-card", hardware=GPU)
    bench.write(leave_worker, bye)
    bench.start(steps=1)
    set_needs(bench, Needs(gpu_memory_mib=16_000), lanes="gpu")
    assert bench.publish() == []
    (step,) = bench.read(lambda c: c.execute(select(steps)).all())
    assert step.state == "ready"
    join(bench, "card", lanes=("cpu", "gpu"), hardware=GPU)
    (posting,) = bench.publish()
    assert isinstance(claim(bench, posting, "card"), Grant)


def test_directed_ticket_goes_back_to_the_lane_when_it_is_not_claimed(bench: Bench) -> None:
    join(bench, "two")
    bench.start(steps=1)
    (posting,) = bench.publish()
    assert posting.sent_to
    bench.pass_by(6)
    (again,) = bench.write(ring_again, ring_again_s=5.0)
    assert again.queue == f"d8.cpu.{BUILD}"
    assert again.ticket == posting.ticket
    other = "two" if posting.sent_to == "one" else "one"
    session = "session-two" if other == "two" else "session-1"
    assert isinstance(bench.claim(again.ticket, other, session=session), Grant)


def test_step_for_some_is_placed_anew_when_its_worker_goes(bench: Bench) -> None:
    join(bench, "safe", hardware=SANDBOX)
    bench.start(steps=1)
    set_needs(bench, Needs(executor="docker"))
    (posting,) = bench.publish()
    bench.write(leave_worker, Heartbeat(worker="safe", session="session-safe", hardware=SANDBOX))
    join(bench, "other", hardware=SANDBOX)
    bench.pass_by(6)
    assert bench.write(ring_again, ring_again_s=5.0) == []
    (again,) = bench.publish()
    assert again.sent_to == "other"
    assert isinstance(claim(bench, posting, "other"), Refusal), "the first ticket is void"
    assert isinstance(claim(bench, again, "other", "claim-02"), Grant)


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


def test_model_servers_numbers_are_kept_as_long_as_the_worker_is_heard_from(bench: Bench) -> None:
    join(bench, "card")
    assert standing(bench, "card")["model_server"] is None
    stats = ModelServerStats(models=("fake:",), rows=3, max_rows=32, prefix_hit_rate=0.5, done=7)
    beat(bench, "card", models=stats)
    assert standing(bench, "card")["model_server"] == stats.model_dump(mode="json")
    assert bench.read(model_servers) == {"card": stats, "one": None}
    beat(bench, "card")
    assert bench.read(model_servers)["card"] is None, "its model server has gone"


@pytest.mark.parametrize("how", ["silent", "stopped", "removed", "started again"])
def test_numbers_of_a_worker_that_is_gone_are_not_shown_as_if_they_were_of_now(
    bench: Bench, how: str
) -> None:
    join(bench, "card")
    beat(bench, "card", models=ModelServerStats(rows=3))
    if how == "silent":
        bench.pass_by(76)
        bench.write(miss_workers, heartbeat_s=30)
    elif how == "stopped":
        bye = Heartbeat(worker="card", session="session-card", hardware=HARDWARE)
        bench.write(leave_worker, bye)
    elif how == "removed":
        bench.write(remove_worker, "card", by="owner")
    else:
        join(bench, "card")
    shown = {worker["name"]: worker for worker in bench.read(lambda c: list_workers(c, removed=True))}
    assert shown["card"]["model_server"] is None
    assert bench.read(model_servers).get("card") is None


def test_run_shows_what_its_steps_asked_of_models(bench: Bench) -> None:
    run_id = bench.start(steps=2)
    first, second = bench.publish()
    usage = {"prompt_tokens": 9, "kept": 1, "models": [{"model": "fake:", "sha256": "0" * 64}]}
    for posting, used, number in ((first, usage, 1), (second, {}, 2)):
        granted = bench.granted(posting.ticket, claim=f"claim-0{number}")
        report(bench, granted, "one", result={"echo": "", "started_at_s": 1.0}, usage=used)
    shown = bench.read(lambda c: show_run(c, run_id))["steps"]
    assert [step["usage"] for step in shown if step["kind"] == "task"] == [usage, {}]


def test_owner_hears_once_of_a_silent_worker_and_once_that_it_is_back(bench: Bench) -> None:
    bench.pass_by(76)
    bench.write(miss_workers, heartbeat_s=30)
    bench.write(miss_workers, heartbeat_s=30)
    assert open_kinds(bench) == ["worker_offline"]
    bench.join()
    assert open_kinds(bench) == []
    told = bench.read(
        lambda c: c.execute(select(events.c.name).where(events.c.name.like("notice%"))).scalars().all()
    )
    assert told == ["notice_opened", "notice_closed"]


def test_worker_that_is_stopped_on_purpose_is_no_news(bench: Bench) -> None:
    bench.write(leave_worker, Heartbeat(worker="one", session="session-1", hardware=HARDWARE))
    assert standing(bench, "one")["reason"] == "it was stopped"
    assert open_kinds(bench) == []


def test_outdated_worker_is_announced_unless_it_updates_itself(bench: Bench) -> None:
    join(bench, "auto", build="a" * 12, can_update=True, auto_update=True)
    join(bench, "old", build="a" * 12)
    assert [notice.subject for notice in bench.read(list_notices)] == ["worker:old"]


def test_clock_that_is_off_is_noticed_and_harms_nothing(bench: Bench) -> None:
    message = Heartbeat(
        worker="one", session="session-1", hardware=HARDWARE, sent_at=bench.now + timedelta(hours=1)
    )
    bench.write(hear_worker, message, heartbeat_s=30)
    assert standing(bench, "one")["clock_skew_s"] == 3600
    bench.start(steps=1)
    (posting,) = bench.publish()
    assert isinstance(bench.claim(posting.ticket), Grant)


def test_unknown_worker_has_to_join(bench: Bench) -> None:
    with pytest.raises(NotFound):
        beat(bench, "nobody")


def test_paces_are_learned_from_what_was_recorded(bench: Bench) -> None:
    bench.start(steps=2)
    for number, posting in enumerate(bench.publish()):
        grant = bench.claim(posting.ticket, claim=f"claim-{number:02}")
        assert isinstance(grant, Grant)
        bench.pass_by(10)
        report(bench, grant, "one", result={"echo": "", "started_at_s": 1.0})
    with bench.database.write() as connection:
        assert note_paces(connection) == 2
        assert note_paces(connection) == 0
    (pace,) = bench.read(lambda c: c.execute(select(paces)).all())
    assert (pace.task, pace.worker, pace.steps) == ("fleet.noop", "one", 2)
    assert pace.seconds == pytest.approx(10)


def test_faster_worker_is_preferred_while_it_has_a_free_slot(bench: Bench) -> None:
    join(bench, "slow")
    with bench.database.write() as connection:
        connection.execute(insert(paces).values(task="fleet.noop", worker="slow", seconds=9.0, steps=5))
        connection.execute(insert(paces).values(task="fleet.noop", worker="one", seconds=3.0, steps=5))
    bench.start(steps=1)
    (posting,) = bench.publish()
    assert posting.sent_to == "one"


def report(bench: Bench, grant: Grant, worker: str, **more: Any) -> None:
    bench.write(
        record_report,
        Report(step=grant.step, attempt=grant.attempt, token=grant.token, worker=worker, **more),
    )

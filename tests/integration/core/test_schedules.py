"""Schedules on a real database, SQLite and Postgres: every moment once, whoever races and whatever is killed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from master.backup.archive import check_archive
from master.schedules import executions, store, tick
from master.schedules.duties import FOLDER, SEALED_WITH
from master.schedules.records import Change, Execution, ExecutionState, NewSchedule
from master.schedules.tables import executions as execution_rows
from master.schedules.tables import schedules
from master.store.tables import events, runs
from tasks.errors import InvalidInput, NotFound, Refused
from tests.integration.core.conftest import Bench
from tests.rig import Killed, killing

START = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


class Clocked:
    """A bench with schedules, whose time is set."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        bench.now = START

    def add(self, name: str = "hourly", **fields: Any) -> Any:
        wanted = {"name": name, "flow": "noop", "params": {"steps": 1}, "cron": "0 * * * *", **fields}
        return self.bench.write(
            store.add_schedule, NewSchedule.model_validate(wanted), zone="UTC", by="token:ana"
        )

    def at(self, clock: str, day: int = 21) -> int:
        hour, minute = map(int, clock.split(":"))
        self.bench.now = START.replace(day=day, hour=hour, minute=minute)
        return self.tick()

    def tick(self) -> int:
        return tick.tick(self.bench.database, self.bench.clock)

    def listed(self, **wanted: Any) -> list[Execution]:
        found: list[Execution] = self.bench.read(lambda c: executions.list_executions(c, **wanted))
        return found

    def states(self) -> list[str]:
        return [each.state for each in self.listed()]

    def runs(self) -> int:
        return len(self.bench.read(lambda c: c.execute(select(runs.c.id)).all()))


@pytest.fixture
def clocked(bench: Bench) -> Clocked:
    return Clocked(bench)


def test_a_schedule_starts_its_flow_when_it_is_due_and_not_before(clocked: Clocked) -> None:
    made = clocked.add()
    assert made.next_at == START.replace(hour=13, minute=0)
    assert clocked.at("12:59") == 0
    assert clocked.at("13:00") == 1
    assert clocked.tick() == 0
    (execution,) = clocked.listed()
    assert (execution.origin, execution.due_at, execution.state) == ("clock", made.next_at, "running")
    row = clocked.bench.read(lambda c: c.execute(select(runs)).one())
    assert (row.id, row.flow, row.started_by) == (execution.run_id, "noop", "token:ana")


def test_an_executions_state_is_that_of_its_run(clocked: Clocked) -> None:
    clocked.add(missed="skip")
    clocked.at("13:00")
    clocked.bench.write(lambda c, now: c.execute(update(runs).values(state="done", finished_at=now)))
    assert clocked.listed()[0].finished_at is not None
    assert clocked.listed(state=ExecutionState.DONE) != []
    assert clocked.listed(state=ExecutionState.RUNNING) == []
    clocked.at("14:00")
    assert clocked.states() == ["running", "done"]


def test_while_the_last_one_goes_on_the_next_is_left_out(clocked: Clocked) -> None:
    clocked.add()
    clocked.at("13:00")
    clocked.at("14:00")
    left_out = clocked.listed()[0]
    assert left_out.state == "skipped"
    assert clocked.listed()[1].run_id in left_out.note
    assert clocked.runs() == 1


def test_a_schedule_that_may_overlap_does(clocked: Clocked) -> None:
    clocked.add(overlap="allow")
    clocked.at("13:00")
    clocked.at("14:00")
    assert clocked.states() == ["running", "running"]


@pytest.mark.parametrize(("missed", "states"), [("once", ["running"]), ("skip", ["skipped"])])
def test_a_day_away_is_made_up_for_once_at_most(clocked: Clocked, missed: str, states: list[str]) -> None:
    clocked.add(missed=missed)
    clocked.at("15:40", day=22)
    assert clocked.states() == states
    assert clocked.listed()[0].due_at == START.replace(day=22, hour=15, minute=0)
    next_at = clocked.bench.read(lambda c: store.get_schedule(c, "hourly")).next_at
    assert next_at == START.replace(day=22, hour=16, minute=0)


def test_of_ticks_that_race_one_starts_it(clocked: Clocked) -> None:
    for number in range(4):
        clocked.add(f"s{number}")
    clocked.bench.now = START.replace(hour=13)
    barrier = threading.Barrier(3)

    def race() -> None:
        barrier.wait()
        clocked.tick()

    threads = [threading.Thread(target=race) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clocked.runs() == 4
    assert len(clocked.listed()) == 4


def once(when: str) -> Callable[[], str]:
    chances = iter([when])
    return lambda: next(chances, "")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_tick_that_is_killed_starts_it_once(clocked: Clocked, when: str) -> None:
    clocked.add()
    clocked.bench.now = START.replace(hour=13)
    with killing(clocked.bench.database, once(when)), pytest.raises(Killed):
        clocked.tick()
    assert clocked.runs() == (0 if when == "before" else 1)
    clocked.tick()
    assert clocked.runs() == 1
    assert len(clocked.listed()) == 1


def test_what_cannot_be_started_is_said_and_holds_nothing_up(clocked: Clocked) -> None:
    clocked.add("broken")
    clocked.add("fine")
    clocked.bench.write(
        lambda c, now: c.execute(update(schedules).where(schedules.c.name == "broken").values(flow="gone"))
    )
    clocked.at("13:00")
    found = {each.schedule: each for each in clocked.listed()}
    assert (found["broken"].state, found["fine"].state) == ("failed", "running")
    assert "gone" in found["broken"].note
    assert clocked.tick() == 0, "tried again at its next time"


def test_off_and_on_again_owes_nothing(clocked: Clocked) -> None:
    clocked.add()
    clocked.bench.write(store.enable_schedule, "hourly", enabled=False, by="ana")
    assert clocked.at("15:30") == 0
    back = clocked.bench.write(store.enable_schedule, "hourly", enabled=True, by="ana")
    assert back.next_at == START.replace(hour=16, minute=0)
    assert clocked.listed() == []


def test_a_change_of_the_time_is_kept_from_now_on(clocked: Clocked) -> None:
    clocked.add()
    changed = clocked.bench.write(
        store.change_schedule, "hourly", Change(cron="@daily", zone="Asia/Tokyo"), by="ana"
    )
    assert changed.next_at == START.replace(hour=15, minute=0), "midnight in Tokyo"
    with pytest.raises(InvalidInput, match="steps"):
        clocked.bench.write(store.change_schedule, "hourly", Change(params={"steps": "many"}), by="ana")


def test_by_hand_it_starts_beside_its_times(clocked: Clocked) -> None:
    made = clocked.add(enabled=False)
    assert made.next_at is None
    started = clocked.bench.write(store.start_now, "hourly", by="token:eva")
    assert (started.origin, started.state) == ("token:eva", "running")
    assert clocked.bench.read(lambda c: store.get_schedule(c, "hourly")).last == started
    with pytest.raises(Refused):
        clocked.bench.write(store.start_now, "hourly", by="token:eva")


def test_an_execution_is_cancelled_with_its_run(clocked: Clocked) -> None:
    clocked.add()
    clocked.at("13:00")
    (execution,) = clocked.listed()
    assert clocked.bench.write(executions.cancel_execution, execution.id, by="ana").state == "cancelled"
    with pytest.raises(Refused):
        clocked.bench.write(executions.cancel_execution, execution.id, by="ana")


def test_a_removed_schedule_leaves_its_executions_and_its_name(clocked: Clocked) -> None:
    clocked.add()
    clocked.at("13:00")
    clocked.bench.write(store.remove_schedule, "hourly", by="ana")
    assert [each.schedule for each in clocked.listed(schedule="hourly")] == ["hourly"]
    assert clocked.add().last is None
    names = clocked.bench.read(lambda c: set(c.execute(select(events.c.name)).scalars()))
    assert {"schedule_created", "schedule_removed", "execution_started"} <= names


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"flow": "", "duty": ""}, InvalidInput),
        ({"duty": "backup"}, InvalidInput),
        ({"flow": "nothing"}, NotFound),
        ({"flow": "", "duty": "sleep", "params": {}}, NotFound),
        ({"params": {"steps": -1}}, InvalidInput),
        ({"zone": "Nowhere/Land"}, InvalidInput),
    ],
)
def test_what_could_never_be_started_is_refused_at_once(
    clocked: Clocked, fields: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        clocked.add(**fields)
    clocked.add()
    with pytest.raises(Refused, match="already"):
        clocked.add()


def test_executions_of_long_ago_are_dropped(clocked: Clocked) -> None:
    clocked.add(overlap="allow")
    clocked.at("13:00")
    clocked.bench.pass_by(timedelta(days=179).total_seconds())
    assert clocked.bench.write(executions.forget_executions) == 0
    clocked.bench.pass_by(timedelta(days=2).total_seconds())
    assert clocked.bench.write(executions.forget_executions) == 1
    assert clocked.runs() == 1


class TestBackups:
    def back_up(self, clocked: Clocked, day: int) -> Execution:
        clocked.at("13:00", day=day)
        assert clocked.states()[0] == "ready"
        assert tick.do_duties(clocked.bench.database, clocked.bench.settings, clocked.bench.clock) == 1
        assert tick.do_duties(clocked.bench.database, clocked.bench.settings, clocked.bench.clock) == 0
        return clocked.listed()[0]

    def test_a_backup_is_made_sealed_and_old_ones_go(self, clocked: Clocked) -> None:
        secrets = clocked.bench.settings.secrets_folder
        secrets.mkdir(parents=True, exist_ok=True)
        (secrets / SEALED_WITH).write_text("correct horse\n")
        clocked.add("backup", flow="", duty="backup", params={"keep": 2}, cron="0 13 * * *")
        for day in (21, 22, 23):
            execution = self.back_up(clocked, day)
            assert (execution.state, execution.run_id) == ("done", ""), execution.note
        kept = sorted((clocked.bench.settings.home / FOLDER).iterdir())
        assert [path.name[6:14] for path in kept] == ["20261122", "20261123"]
        assert check_archive(kept[-1], "correct horse", lambda _: None).with_secrets

    def test_without_a_passphrase_it_fails_and_says_what_to_do(self, clocked: Clocked) -> None:
        clocked.add("backup", flow="", duty="backup", params={}, cron="0 13 * * *")
        execution = self.back_up(clocked, 21)
        assert execution.state == "failed"
        assert SEALED_WITH in execution.note

    def test_a_duty_that_went_down_with_its_master_is_over_at_last(self, clocked: Clocked) -> None:
        clocked.add("backup", flow="", duty="backup", params={}, cron="0 13 * * *")
        clocked.at("13:00")
        lost = {"state": "running", "started_at": clocked.bench.now}
        clocked.bench.write(lambda c, now: c.execute(update(execution_rows).values(**lost)))
        clocked.bench.pass_by(tick.LONGEST / timedelta(seconds=1) + 1)
        tick.do_duties(clocked.bench.database, clocked.bench.settings, clocked.bench.clock)
        assert clocked.states() == ["failed"]

    def test_one_that_has_not_begun_can_be_cancelled(self, clocked: Clocked) -> None:
        clocked.add("backup", flow="", duty="backup", params={}, cron="0 13 * * *")
        clocked.at("13:00")
        (execution,) = clocked.listed()
        assert clocked.bench.write(executions.cancel_execution, execution.id, by="ana").state == "cancelled"
        assert tick.do_duties(clocked.bench.database, clocked.bench.settings, clocked.bench.clock) == 0

"""Machines' numbers over time and workers' logs: on real databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from master.dispatch.claims import record_report
from master.fleet.history import (
    list_paces,
    list_strikes,
    list_worker_attempts,
    list_worker_events,
    list_worker_failures,
    task_paces,
)
from master.fleet.invites import create_invite, list_invites, redeem_invite, revoke_invite
from master.fleet.logs import ask_log, find_log, take_log
from master.fleet.roster import remove_worker, show_worker
from master.fleet.samples import MINUTE_S, QUARTER_S, read_samples, read_series, tend_samples
from master.fleet.tables import host_samples
from master.fleet.workers import hear_worker
from master.store.tables import paces, steps
from tasks.errors import NotFound, Refused
from tasks.protocol import Failure, Gpu, Heartbeat, Redeem, Report, WorkerLog
from tests.integration.core.conftest import HARDWARE, Bench

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def beat(bench: Bench, *, cpu_pct: float = 0.0, use_pct: int = 0, name: str = "one") -> Any:
    gpu = Gpu(
        name="card", memory_mib=24_000, memory_used_mib=100 * use_pct, temperature_c=50, use_pct=use_pct
    )
    hardware = HARDWARE.model_copy(update={"cpu_pct": cpu_pct, "gpus": (gpu,)})
    heartbeat = Heartbeat(worker=name, session="session-1", hardware=hardware)
    return bench.write(hear_worker, heartbeat, heartbeat_s=30)


def samples(bench: Bench, span_s: int, name: str = "one") -> list[Any]:
    return bench.read(lambda c: read_samples(c, name, span_s, since=LONG_AGO))


def count_rows(bench: Bench) -> int:
    return int(bench.read(lambda c: c.execute(select(func.count()).select_from(host_samples)).scalar_one()))


def send_log(bench: Bench, text: str, session: str = "session-1") -> None:
    bench.write(take_log, WorkerLog(worker="one", session=session, text=text))


def test_minute_of_heartbeats_is_one_row(bench: Bench) -> None:
    for cpu_pct in (10.0, 20.0, 60.0):
        beat(bench, cpu_pct=cpu_pct, use_pct=int(cpu_pct))
        bench.pass_by(20)
    assert samples(bench, MINUTE_S) == [], "the minute is not over"
    beat(bench)
    (sample,) = samples(bench, MINUTE_S)
    assert sample.at == datetime(2026, 11, 21, tzinfo=UTC)
    assert sample.reading.cpu_pct == pytest.approx(30.0)
    assert (sample.reading.gpus[0].use_pct, sample.reading.gpus[0].memory_used_mib) == (30.0, 6_000)


def test_numbers_are_read_by_the_column_of_several_workers_at_once(bench: Bench) -> None:
    bench.join("two", session="session-1")
    for minute in range(3):
        beat(bench, cpu_pct=10.0 * minute, use_pct=minute)
        beat(bench, name="two", cpu_pct=1.0)
        bench.pass_by(60)
    names = ["one", "two", "nobody"]
    found = bench.read(lambda c: read_series(c, names, MINUTE_S, since=LONG_AGO))
    assert sorted(found) == ["one", "two"]
    assert found["one"].cpu_pct == [0.0, 10.0]
    assert found["one"].gpus[0].memory_used_mib == [0, 100]
    assert found["one"].at_s == [sample.at.timestamp() for sample in samples(bench, MINUTE_S)]
    assert found["two"].cpu_pct == [1.0, 1.0]
    assert bench.read(lambda c: read_series(c, names, MINUTE_S, since=bench.now)) == {}


def test_clock_set_back_writes_no_minute_twice(bench: Bench) -> None:
    for _ in range(3):
        beat(bench)
        bench.pass_by(60)
    bench.pass_by(-120)
    for _ in range(3):
        beat(bench, cpu_pct=99.0)
        bench.pass_by(60)
    assert [sample.reading.cpu_pct for sample in samples(bench, MINUTE_S)] == [0.0, 0.0, 0.0]


def test_quarters_are_made_of_minutes_once_and_old_rows_go(bench: Bench) -> None:
    for minute in range(40):
        beat(bench, use_pct=30 if minute < 15 else 60)
        bench.pass_by(60)
    assert bench.write(tend_samples) == 2, "the third quarter is not over"
    assert bench.write(tend_samples) == 0
    quarters = samples(bench, QUARTER_S)
    assert [sample.reading.gpus[0].use_pct for sample in quarters] == [30.0, 60.0]
    assert [sample.at.minute for sample in quarters] == [0, 15]
    bench.pass_by(2 * 86400)
    bench.write(tend_samples)
    assert samples(bench, MINUTE_S) == []
    assert len(samples(bench, QUARTER_S)) == 2
    bench.pass_by(31 * 86400)
    bench.write(tend_samples)
    assert count_rows(bench) == 0


def test_last_minute_of_a_quarter_is_waited_for(bench: Bench) -> None:
    for _ in range(15):
        beat(bench)
        bench.pass_by(60)
    # The quarter has just ended; its last minute is written down by the next heartbeat.
    assert bench.write(tend_samples) == 0
    beat(bench)
    bench.pass_by(160)
    assert bench.write(tend_samples) == 1


def test_another_machine_under_the_name_begins_without_numbers_and_log(bench: Bench) -> None:
    beat(bench)
    bench.pass_by(60)
    bench.write(ask_log, "one", by="owner")
    beat(bench)
    send_log(bench, "old")
    bench.write(remove_worker, "one", by="owner")
    code, _ = bench.write(create_invite, "one", by="owner", lasts=timedelta(hours=1))
    bench.write(redeem_invite, Redeem(invite=code, worker="one"))
    assert count_rows(bench) == 0
    assert bench.read(lambda c: find_log(c, "one")).text == ""


def test_log_is_wanted_until_it_came_and_only_when_asked_for(bench: Bench) -> None:
    assert not beat(bench).log_wanted
    with pytest.raises(Refused, match="nobody asked"):
        send_log(bench, "unasked")
    bench.write(ask_log, "one", by="owner")
    bench.write(ask_log, "one", by="owner")
    assert beat(bench).log_wanted
    assert beat(bench).log_wanted, "it has not come"
    assert bench.read(lambda c: find_log(c, "one")).asked_at == bench.now
    send_log(bench, "step_claimed step=1")
    assert not beat(bench).log_wanted
    found = bench.read(lambda c: find_log(c, "one"))
    assert (found.text, found.sent_at, found.asked_at) == ("step_claimed step=1", bench.now, None)
    assert not found.earlier_session
    with pytest.raises(Refused, match="nobody asked"):
        send_log(bench, "once more")
    bench.join(session="session-2")
    assert bench.read(lambda c: find_log(c, "one")).earlier_session


def test_log_is_taken_of_the_session_that_is_the_worker(bench: Bench) -> None:
    bench.write(ask_log, "one", by="owner")
    with pytest.raises(Refused, match="started again"):
        send_log(bench, "x", session="session-0")


def test_worker_that_is_not_heard_from_sends_no_log(bench: Bench) -> None:
    bench.write(remove_worker, "one", by="owner")
    with pytest.raises(Refused, match="removed"):
        bench.write(ask_log, "one", by="owner")
    with pytest.raises(NotFound, match="no worker"):
        bench.write(ask_log, "nobody", by="owner")


def test_pending_invites_are_listed_without_their_codes_and_taken_back(bench: Bench) -> None:
    code, expires_at = bench.write(create_invite, "garage", by="owner", lasts=timedelta(hours=1))
    other, _ = bench.write(create_invite, "", by="owner", lasts=timedelta(hours=2))
    listed = bench.read(lambda c: list_invites(c, now=bench.now))
    assert {(each.worker, each.expires_at) for each in listed} >= {("garage", expires_at)}
    assert code not in str(listed)
    garage = next(each for each in listed if each.worker == "garage")
    bench.write(revoke_invite, garage.id, by="owner")
    with pytest.raises(Refused, match="not known here"):
        bench.write(redeem_invite, Redeem(invite=code, worker="garage"))
    with pytest.raises(NotFound, match="no invite"):
        bench.write(revoke_invite, garage.id, by="owner")
    bench.write(redeem_invite, Redeem(invite=other, worker="cellar"))
    bench.pass_by(3 * 3600)
    assert bench.read(lambda c: list_invites(c, now=bench.now)) == []


def test_attempts_failures_and_strikes_of_one_worker(bench: Bench) -> None:
    bench.join("two", session="session-1")
    bench.start()
    (posting,) = bench.publish()
    grant = bench.granted(posting.ticket)
    failed = Report(
        step=grant.step,
        attempt=grant.attempt,
        token=grant.token,
        worker="one",
        failure=Failure.TRANSIENT,
        error="out of memory",
    )
    bench.write(record_report, failed)
    (attempt,) = bench.read(lambda c: list_worker_attempts(c, "one", 10))
    assert (attempt["key"], attempt["outcome"], attempt["error"]) == (grant.key, "transient", "out of memory")
    assert bench.read(lambda c: list_worker_failures(c, "one", 10)) == [attempt]
    assert bench.read(lambda c: list_worker_failures(c, "two", 10)) == []
    assert bench.read(lambda c: list_strikes(c, "one")) == [], "nobody has done it elsewhere"
    with bench.database.write() as connection:
        connection.execute(update(steps).where(steps.c.id == grant.step).values(state="done", worker="two"))
    (strikes,) = bench.read(lambda c: list_strikes(c, "one"))
    assert (strikes.task, strikes.strikes) == (grant.task, 1)
    names = [event["name"] for event in bench.read(lambda c: list_worker_events(c, "one", 10))]
    assert "attempt_failed" in names


def test_paces_stand_beside_those_of_the_others(bench: Bench) -> None:
    rows = [("a", "one", 2.0, 10), ("a", "two", 4.0, 30), ("a", "three", 8.0, 10), ("b", "one", 1.0, 99)]
    with bench.database.write() as connection:
        for task, worker, seconds, count in rows:
            connection.execute(insert(paces).values(task=task, worker=worker, seconds=seconds, steps=count))
    found = bench.read(lambda c: list_paces(c, "one"))
    assert [(pace.task, pace.seconds, pace.elsewhere_s) for pace in found] == [
        ("b", 1.0, None),
        ("a", 2.0, 5.0),
    ]
    assert bench.read(task_paces) == {"a": pytest.approx(4.4), "b": 1.0}


def test_worker_is_shown_also_after_it_was_taken_out(bench: Bench) -> None:
    bench.write(remove_worker, "one", by="owner")
    assert bench.read(lambda c: show_worker(c, "one"))["state"] == "removed"
    with pytest.raises(NotFound):
        bench.read(lambda c: show_worker(c, "nobody"))


def test_failed_attempts_are_found_by_their_index(bench: Bench) -> None:
    if not bench.database.sqlite:
        pytest.skip("Postgres plans by statistics, which an empty table has none of")
    query = (
        "EXPLAIN QUERY PLAN SELECT * FROM attempts WHERE worker = 'one' AND "
        "attempts.outcome NOT IN ('', 'done') ORDER BY claimed_at DESC LIMIT 5"
    )
    plan = bench.read(lambda c: c.exec_driver_sql(query).all())
    assert "ix_attempts_failed" in str(plan)

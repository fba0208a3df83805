"""Prometheus' numbers, on both databases: what they say, how many series, what they cost."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, insert, text

from master.api.numbers import now as now_module
from master.api.numbers.counted import Counted
from master.api.numbers.disk import read_disk
from master.api.numbers.now import read_now
from master.api.numbers.shown import render_numbers
from master.dispatch.claims import record_report
from master.dispatch.reap import reap_leases
from master.dispatch.refusals import KnownRefusal, RefusalReason
from master.fleet.workers import hear_worker
from master.ledger.tables import ledger_budget_use
from master.store.tables import events, runs, steps, workers
from tasks.catalog import TASKS
from tasks.protocol import Failure, Gpu, Heartbeat, ModelServerStats
from tests.integration.core.conftest import HARDWARE, Bench, result_of

MONTH = "2026-11"
GPU = Gpu(name="RTX", memory_mib=16_000, memory_used_mib=4_000, use_pct=50)


def scrape(bench: Bench, counted: Counted, refusals: dict[str, int] | None = None) -> dict[str, Any]:
    """``name{label values}`` -> value."""

    def read(connection: Any) -> bytes:
        counted.look(connection, bench.now)
        disk = read_disk(bench.database, connection)
        return render_numbers(read_now(connection, bench.now, MONTH), counted, disk, refusals or {}, "b" * 12)

    return {
        sample.name + "".join(f"|{value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(bench.read(read).decode())
        for sample in family.samples
    }


def begun(bench: Bench) -> Counted:
    counted = Counted()
    bench.read(counted.begin)
    return counted


def test_a_steps_way_is_counted_once(bench: Bench) -> None:
    counted = begun(bench)
    bench.start("noop", steps=2)
    bench.pass_by(30)
    found = scrape(bench, counted)
    assert (found["d8_steps|ready"], found["d8_runs|running"]) == (2, 1)
    assert (found["d8_lane_waiting_steps|cpu"], found["d8_lane_oldest_waiting_seconds|cpu"]) == (2, 30)
    assert found["d8_attempts_total|done"] == 0

    first, second = (posting.ticket for posting in bench.publish())
    grant = bench.granted(first)
    bench.granted(second)
    bench.pass_by(7.5)
    bench.write(record_report, result_of(grant))
    bench.pass_by(30)
    assert bench.write(reap_leases) == 1
    bench.pass_by(10)
    for _ in range(2):
        found = scrape(bench, counted)
        assert found["d8_attempts_total|done"] == 1
        assert found["d8_attempts_total|lost"] == 1
        assert found["d8_lease_expiries_total"] == 1
        assert found["d8_step_duration_seconds_count|fleet.noop"] == 1
        assert found["d8_step_duration_seconds_sum|fleet.noop"] == pytest.approx(7.5)
        assert found["d8_steps|ready"] == 1


def test_events_before_the_process_and_of_the_last_seconds_are_not_counted(bench: Bench) -> None:
    bench.start("noop", steps=1)
    (ticket,) = (posting.ticket for posting in bench.publish())
    grant = bench.granted(ticket)
    bench.write(record_report, result_of(grant))
    late = begun(bench)
    bench.pass_by(60)
    assert scrape(bench, late)["d8_attempts_total|done"] == 0

    counted = begun(bench)
    bench.start("noop", steps=1)
    (ticket,) = (posting.ticket for posting in bench.publish())
    bench.write(record_report, result_of(bench.granted(ticket)))
    assert scrape(bench, counted)["d8_attempts_total|done"] == 0, (
        "a slower transaction may still come before it"
    )
    bench.pass_by(6)
    assert scrape(bench, counted)["d8_attempts_total|done"] == 1


def test_refused_claim_knows_its_reason_and_does_not_say_it_to_the_worker(bench: Bench) -> None:
    bench.start("noop", steps=1)
    (ticket,) = (posting.ticket for posting in bench.publish())
    for named, reason in (
        ({"name": "nobody"}, RefusalReason.UNKNOWN_WORKER),
        ({"session": "session-0"}, RefusalReason.OLD_SESSION),
        ({"build": "c" * 12}, RefusalReason.OLD_TICKET),
    ):
        answer = bench.claim(ticket, **named)
        assert isinstance(answer, KnownRefusal)
        assert answer.reason is reason
        assert json.loads(answer.model_dump_json()).keys() == {"refused"}
    assert scrape(bench, begun(bench), {"old_session": 3})["d8_refused_claims_total|old_session"] == 3


def test_gpus_of_a_host_are_told_once_whoever_shares_them(bench: Bench) -> None:
    hardware = HARDWARE.model_copy(update={"gpus": (GPU, GPU)})
    for name in ("one", "two"):
        bench.join(name)
        beat = Heartbeat(worker=name, session="session-1", hardware=hardware)
        bench.write(hear_worker, beat, heartbeat_s=30)
    found = scrape(bench, begun(bench))
    assert found["d8_host_gpu_memory_bytes|h"] == 2 * 16_000 * 2**20
    assert found["d8_host_gpu_memory_used_bytes|h"] == 2 * 4_000 * 2**20
    assert found["d8_host_gpu_use_ratio|h"] == 0.5
    assert found["d8_workers|active"] == 2


def test_spending_of_many_categories_is_summed_under_other(bench: Bench) -> None:
    def spend(connection: Any, now: Any) -> None:
        for number in range(20):
            values = {"category": f"c{number:02}", "month": MONTH, "currency": "EUR"}
            connection.execute(insert(ledger_budget_use).values(**values, spent_minor=100 + number))
        overall = {"category": "", "month": MONTH, "currency": "EUR", "spent_minor": 9_999}
        connection.execute(insert(ledger_budget_use).values(**overall))

    bench.write(spend)
    found = scrape(bench, begun(bench))
    spent = {name: value for name, value in found.items() if name.startswith("d8_month_spent_minor|")}
    assert len(spent) == now_module.MOST_SPENT - 1
    assert spent["d8_month_spent_minor|c19|EUR"] == 119
    assert sum(spent.values()) == sum(100 + number for number in range(20))


def test_twenty_machines_with_all_tasks_are_at_most_200_series(bench: Bench) -> None:
    hardware = HARDWARE.model_copy(update={"gpus": (GPU,)}).model_dump(mode="json")
    models = ModelServerStats(models=("a", "b"), rows=3).model_dump(mode="json")

    def fill(connection: Any, now: Any) -> None:
        row = connection.execute(workers.select()).first()._asdict()
        for number in range(25):
            new = {
                "name": f"w{number}",
                "host": f"host{number}",
                "hardware": hardware,
                "model_server": models,
            }
            connection.execute(insert(workers).values({**row, **new}))
        for number in range(30):
            values = {
                "category": f"c{number}",
                "month": MONTH,
                "currency": f"E{number % 9}R",
                "spent_minor": 5,
            }
            connection.execute(insert(ledger_budget_use).values(**values))

    bench.write(fill)
    counted = begun(bench)
    counted.attempts.update({"done": 1, **dict.fromkeys(Failure, 1)})
    for task in [task.name for task in TASKS] + [f"old.task{number}" for number in range(50)]:
        counted.steps[task] += 1
        counted.seconds[task] += 2.0
    found = scrape(bench, counted, dict.fromkeys(RefusalReason, 1))
    assert found["d8_step_duration_seconds_count|other"] == 50
    assert len([name for name in found if name.startswith("d8_host_gpu_use_ratio")]) == 20
    assert len(found) <= 200


def fill_with_history(bench: Bench, count: int) -> None:
    """Ended steps and their events by SQL, and 500 steps that wait."""

    def fill(connection: Any, now: Any) -> None:
        moment = {"woken_at": now, "created_at": now}
        run = {"id": "r", "flow": "noop", "params": {}, "state": "running", "wake": 0}
        connection.execute(insert(runs).values(**run, **moment))
        numbers = (
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
            if bench.database.sqlite
            else f"WITH n(i) AS (SELECT generate_series(1, {count})) "
        )
        of_run = {"run_id": "r", "kind": "task", "task": "fleet.noop", "lanes": "cpu", "created_at": now}
        template = connection.execute(
            insert(steps).values(key="k", state="done", **of_run).returning(steps.c.id)
        ).scalar_one()
        columns = [column.name for column in steps.columns if column.name not in ("id", "key")]
        copied = ", ".join(f"s.{name}" for name in columns)
        connection.execute(
            text(
                f"INSERT INTO steps (key, {', '.join(columns)}) {numbers}"
                f"SELECT 'k' || n.i, {copied} FROM n, steps s WHERE s.id = {template}"
            )
        )
        connection.execute(
            insert(steps), [{"key": f"w{number}", "state": "ready", **of_run} for number in range(500)]
        )
        seconds = (now - timedelta(days=1)).timestamp()
        connection.execute(
            text(
                f"INSERT INTO events (at, name, run_id, step_id, worker, data) {numbers}"
                f"SELECT {seconds}, 'step_done', 'r', {template}, 'one', '{{}}' FROM n"
            )
        )

    bench.write(fill)
    with bench.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def test_no_number_reads_a_whole_table_of_history(bench: Bench) -> None:
    fill_with_history(bench, 200_000)
    counted = begun(bench)
    bench.start("noop", steps=1)
    bench.pass_by(10)

    seen: list[tuple[str, Any]] = []

    def watch(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    event.listen(bench.database.engine, "before_cursor_execute", watch)
    assert scrape(bench, counted)["d8_steps|ready"] == 501
    event.remove(bench.database.engine, "before_cursor_execute", watch)
    asked = [item for item in seen if item[0].startswith(("SELECT", "WITH"))]
    assert len(asked) >= 8

    explain = "EXPLAIN QUERY PLAN " if bench.database.sqlite else "EXPLAIN "
    for statement, parameters in asked:
        with bench.database.read() as connection:
            rows = connection.exec_driver_sql(explain + statement, parameters).all()
        plan = "\n".join(str(row[-1]) for row in rows)
        whole = re.search(
            r"SCAN (steps|events|attempts)\b(?! USING)|Seq Scan on (steps|events|attempts)\b", plan
        )
        assert whole is None, f"{statement}\n{plan}"


def test_events_table_is_read_by_its_number_alone(bench: Bench) -> None:
    """What was recorded before is not looked at again: the next look begins where this one ended."""
    counted = begun(bench)
    fill = [{"at": bench.now, "name": "step_done", "data": {}, "run_id": "", "worker": ""}] * 3
    bench.write(lambda c, now: c.execute(insert(events), fill))
    bench.pass_by(10)
    scrape(bench, counted)
    at = counted._seen
    bench.write(lambda c, now: c.execute(events.delete()))
    assert scrape(bench, counted)["d8_attempts_total|done"] == 0
    assert counted._seen == at

"""What is known of runs that go on, of those that ended, and of the month's money: on real databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import insert, update

from master.dispatch.claims import record_report
from master.flows.going import list_ended, read_going
from master.flows.left import OpenSteps
from master.flows.runs import cancel_run, list_runs
from master.ledger.budgets import BudgetLine
from master.ledger.glance import MonthLine, month_at_a_glance
from master.ledger.tables import ledger_budget_use
from master.store.tables import runs, steps
from tests.integration.core.conftest import Bench, result_of


def going(bench: Bench, run_id: str) -> Any:
    def read(connection: Any) -> Any:
        return read_going(connection, list_runs(connection))[run_id]

    return bench.read(read)


def test_open_steps_are_counted_by_task_and_ends_come_in_the_order_of_time(bench: Bench) -> None:
    run_id = bench.start(steps=4)
    first, second, *_ = bench.publish()
    bench.write(record_report, result_of(bench.granted(first.ticket)))
    bench.pass_by(30)
    bench.granted(second.ticket, claim="claim-02")
    with bench.database.write() as connection:
        connection.execute(update(steps).where(steps.c.id == second.ticket.step).values(progress=0.5))
    found = going(bench, run_id)
    assert found.open == (OpenSteps(task="fleet.noop", running=1, waiting=2, progress=0.5),)
    assert (found.ended, found.ends) == (1, (bench.now - timedelta(seconds=30),))


def test_ended_runs_come_by_their_end_and_without_those_nobody_asked_for(bench: Bench) -> None:
    first, second, third = (bench.start() for _ in range(3))
    for run_id in (second, first):
        bench.pass_by(60)
        bench.write(cancel_run, run_id, by="owner")
    ids = [run["id"] for run in bench.read(lambda c: list_ended(c, limit=5))]
    assert ids == [first, second]
    assert third not in ids
    assert [run["id"] for run in bench.read(lambda c: list_ended(c, limit=1))] == [first]
    with bench.database.write() as connection:
        connection.execute(update(runs).where(runs.c.id == first).values(flow="canary"))
    left = bench.read(lambda c: list_ended(c, limit=5, but_flows=("canary",)))
    assert [run["id"] for run in left] == [second]


def test_month_shows_limits_and_what_was_spent_without_one(bench: Bench) -> None:
    rows = [("hosting", "EUR", 1190, 990), ("", "EUR", 1190, 990), ("", "USD", 500, 0), ("", "GBP", 0, 0)]
    with bench.database.write() as connection:
        for category, currency, spent, held in rows:
            connection.execute(
                insert(ledger_budget_use).values(
                    category=category, currency=currency, month="2026-11", spent_minor=spent, held_minor=held
                )
            )
    line = BudgetLine(category="hosting", month_minor=5000, currency="EUR")
    found = bench.read(lambda c: month_at_a_glance(c, [line], "2026-11"))
    assert found == [
        MonthLine(category="hosting", currency="EUR", spent_minor=1190, held_minor=990, limit_minor=5000),
        MonthLine(category="", currency="EUR", spent_minor=1190, held_minor=990),
        MonthLine(category="", currency="USD", spent_minor=500, held_minor=0),
    ]
    assert [each.spent_minor for each in bench.read(lambda c: month_at_a_glance(c, [line], "2026-10"))] == [0]

"""Crashes, hangs, genomes and programs that fail."""

from __future__ import annotations

import random
from typing import Any

from sqlalchemy import select

from master.darwin.tables import trials
from master.flows.runs import retry_run
from master.settings import Settings
from master.store import Database
from master.store.tables import steps
from tests.integration.core.darwin.stage import count_ones, params_of, played_back, told_numbers
from tests.rig import Rig, Work


def test_crashes_and_hangs_leave_the_budget_exact(database: Database, settings: Settings) -> None:
    chance = random.Random(2)

    def unreliable(task: str, request: dict[str, Any], attempt: int) -> Work:
        fate = chance.choices(("done", "crash", "hang"), (65, 30, 5))[0]
        return Work(result=count_ones(task, request, attempt).result, fate=fate)

    rig = Rig(database, settings, unreliable, workers=4)
    run_id = rig.start("darwin-environment", params_of(settings))
    row = rig.run(run_id)

    assert (row.state, row.error) == ("done", "")
    assert sorted(told_numbers(database, run_id)) == list(range(60))
    cost = row.result["cost"]
    assert cost["evaluations"] == 60
    assert cost["evaluated"] + cost["failed"] == 60
    played_back(database, run_id)


def test_a_genome_that_fails_is_marked_failed_and_has_no_score(
    database: Database, settings: Settings
) -> None:
    def refuses_even(task: str, request: dict[str, Any], attempt: int) -> Work:
        (genome,) = request["genomes"]
        if sum(genome) % 4 == 0:
            return Work(result={"outcomes": [{"error": "ValueError: not this one"}], "seconds": 0.1})
        return count_ones(task, request, attempt)

    rig = Rig(database, settings, refuses_even)
    run_id = rig.start("darwin-environment", params_of(settings, seed=1))
    row = rig.run(run_id)

    assert row.state == "done"
    assert row.result["cost"]["failed"] > 0
    with database.read() as connection:
        rows = connection.execute(select(trials).where(trials.c.run_id == run_id)).all()
    failed = [one for one in rows if one.kind == "failed"]
    assert failed
    assert all(one.score is None for one in failed)
    assert all(one["score"] % 4 for one in row.result["best"])


def test_a_program_that_fails_at_once_costs_one_step(database: Database, settings: Settings) -> None:
    def fails(task: str, request: dict[str, Any], attempt: int) -> Work:
        return Work(result={"outcomes": [{"error": "NameError: name 'x' is not defined"}], "seconds": 0.1})

    rig = Rig(database, settings, fails)
    run_id = rig.start("darwin-environment", params_of(settings))
    row = rig.run(run_id)

    assert row.state == "failed"
    assert "ones.py cannot score its first genome: NameError" in row.error
    with database.read() as connection:
        assert connection.execute(select(steps.c.key).where(steps.c.run_id == run_id)).scalars().all() == [
            "check"
        ]


def test_a_run_in_which_nothing_can_be_evaluated_fails_and_is_taken_up_again(
    database: Database, settings: Settings
) -> None:
    broken = True

    def sometimes(task: str, request: dict[str, Any], attempt: int) -> Work:
        first = not told_numbers(database, run_id) and len(rig.finished) == 0
        if broken and not first:
            return Work(result=None, error="no model is reached")
        return count_ones(task, request, attempt)

    rig = Rig(database, settings, sometimes)
    run_id = rig.start("darwin-environment", params_of(settings))
    row = rig.run(run_id)
    assert row.state == "failed"
    assert "no model is reached" in row.error
    broken = False
    rig.write(retry_run, run_id, by="owner")
    row = rig.run(run_id)
    assert (row.state, row.error) == ("done", "")
    assert sorted(told_numbers(database, run_id)) == list(range(60))
    played_back(database, run_id)

"""Evolutions on real databases: whatever is killed, and in whichever order answers come, what is recorded
plays back to the same population."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any
from xml.etree import ElementTree

import pytest
from sqlalchemy import select, text

from master.darwin.engines.replay import replay
from master.darwin.engines.rules import Rules
from master.darwin.engines.steady import SteadyState
from master.darwin.engines.vector import Space, VectorVariation
from master.darwin.records import load_log, stop_evolution
from master.darwin.tables import trials
from master.darwin.view import draw_evolution, show_evolution
from master.flows.carried import load_carried
from master.flows.runs import retry_run
from master.settings import Settings, load_settings
from master.store import Database
from master.store.artifacts import ArtifactFolder
from master.store.tables import steps
from tests.rig import Killed, Rig, Work, killing

BITS = 20
PROGRAM = f"""
GENOME = {{"kind": "vector", "size": {BITS}, "whole": True}}
def evaluate(genome):
    return sum(genome)
""".encode()

Worker = Callable[[str, dict[str, Any], int], Work]


@pytest.fixture
def settings(d8_home: Any) -> Settings:
    return load_settings()


def count_ones(task: str, request: dict[str, Any], attempt: int, *, seconds: float = 1.0) -> Work:
    assert task == "darwin.environment"
    outcomes = [{"values": [float(sum(one))], "error": "", "seconds": 0.1} for one in request["genomes"]]
    return Work(result={"outcomes": outcomes, "seconds": 0.1}, seconds=seconds)


def at_random(chance: random.Random) -> Worker:
    """Takes between a tenth of a second and ten."""
    return lambda *given: count_ones(*given, seconds=10 ** chance.uniform(-1, 1))


def params_of(settings: Settings, evals: int = 60, **more: Any) -> dict[str, Any]:
    program = ArtifactFolder(settings.artifact_folder).write(PROGRAM)
    budget = {"evals": evals, **more.pop("budget", {})}
    return {"environment": program, "filename": "ones.py", "population": 6, "budget": budget, **more}


def played_back(database: Database, run_id: str, evals: int = 60, seed: int = 0) -> dict[str, Any]:
    """The engine that the records make, and the state that the run carries, as JSON."""
    with database.read() as connection:
        log = load_log(connection, run_id)
        campaign = load_carried(connection, run_id)["campaign"]
    engine = SteadyState(
        VectorVariation(Space(size=BITS, whole=True)), Rules(seed=seed, budget=evals, population=6)
    )
    replay(engine, log, campaign["tally"]["asked_after"])
    assert engine.snapshot() == campaign["engine"]
    return engine.snapshot()


def told_numbers(database: Database, run_id: str) -> list[int]:
    with database.read() as connection:
        return list(connection.execute(select(trials.c.number).where(trials.c.run_id == run_id)).scalars())


def test_what_is_recorded_plays_back_to_the_population_that_the_run_has(
    database: Database, settings: Settings
) -> None:
    rig = Rig(database, settings, at_random(random.Random(1)), workers=4)
    run_id = rig.start("darwin-environment", params_of(settings))

    row = rig.run(run_id)

    assert (row.state, row.error) == ("done", "")
    numbers = told_numbers(database, run_id)
    assert sorted(numbers) == list(range(60))
    assert numbers != sorted(numbers), "answers are to come out of order in this test"
    played_back(database, run_id)


def test_one_worker_and_one_seed_give_the_same_evolution_twice(
    database: Database, settings: Settings
) -> None:
    results = []
    for seconds in (1.0, 7.0):
        rig = Rig(database, settings, partial(count_ones, seconds=seconds))
        run_id = rig.start("darwin-environment", params_of(settings, seed=3))
        results.append((rig.run(run_id).result["best"], played_back(database, run_id, seed=3)))
    assert results[0] == results[1]


def test_kills_of_master_and_workers_anywhere_repeat_nothing_and_lose_nothing(
    database: Database, settings: Settings
) -> None:
    chance = random.Random(7)
    kills = 0
    finished: Counter[tuple[str, str]] = Counter()
    rig = Rig(database, settings, at_random(chance), workers=3)
    run_id = rig.start("darwin-environment", params_of(settings))
    while rig.row(run_id).state == "running" and kills < 200:
        countdown = iter([""] * chance.randrange(1, 16) + [chance.choice(("before", "after"))])
        try:
            with killing(database, partial(next, countdown, "")):
                rig.run(run_id)
        except Killed:
            kills += 1
        finished.update(rig.finished)
        rig = Rig(database, settings, at_random(chance), workers=3, now=rig.now)
    row = rig.run(run_id)

    assert (row.state, row.error) == ("done", "")
    assert kills >= 20
    assert sorted(told_numbers(database, run_id)) == list(range(60))
    assert max(finished.values()) == 1, "a step was worked on again whose outcome was recorded"
    played_back(database, run_id)


def written(settings: Settings, run_id: str, result: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A run's result and its files, but for its own name in them."""
    read = ArtifactFolder(settings.artifact_folder).read
    files = [read(digest).decode().replace(run_id, "RUN") for digest in result["artifacts"].values()]
    return {**result, "artifacts": sorted(result["artifacts"])}, files


def test_kills_of_the_master_alone_change_nothing(database: Database, settings: Settings) -> None:
    undisturbed = Rig(database, settings, count_ones)
    run_id = undisturbed.start("darwin-environment", params_of(settings, seed=5))
    expected = written(settings, run_id, undisturbed.run(run_id).result)

    chance = random.Random(11)
    rig = Rig(database, settings, count_ones)
    killed = rig.start("darwin-environment", params_of(settings, seed=5))
    advance = rig.engine.advance
    kills = 0

    def advance_through_kills(run: str) -> None:
        nonlocal kills
        while True:
            fate = chance.choice(("", "before", "after"))
            try:
                with killing(database, lambda fate=fate: fate):  # type: ignore[misc]
                    return advance(run)
            except Killed:
                kills += 1

    rig.engine.advance = advance_through_kills  # type: ignore[method-assign]
    assert written(settings, killed, rig.run(killed).result) == expected
    assert kills > 30


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


def test_a_run_that_was_stopped_reports_and_is_continued_by_another(
    database: Database, settings: Settings
) -> None:
    rig = Rig(database, settings, count_ones)
    run_id = rig.start("darwin-environment", params_of(settings, seed=4))
    rig.run(run_id, until=lambda: len(told_numbers(database, run_id)) >= 20)
    rig.write(stop_evolution, run_id, by="owner")
    row = rig.run(run_id)

    assert row.result["ended"] == "stopped by owner"
    assert 20 <= row.result["cost"]["evaluations"] <= 23
    again = rig.start("darwin-environment", params_of(settings, seed=4, resumes=run_id))
    assert rig.run(again).result["cost"]["evaluations"] == 60


def test_answers_are_known_in_the_next_run_and_those_of_failures_are_not(
    database: Database, settings: Settings
) -> None:
    asked: Counter[str] = Counter()

    def remembers(task: str, request: dict[str, Any], attempt: int) -> Work:
        asked.update(str(one) for one in request["genomes"])
        if sum(request["genomes"][0]) % 5 == 0:
            return Work(result={"outcomes": [{"error": "ValueError: fives"}], "seconds": 0.1})
        return count_ones(task, request, attempt)

    rig = Rig(database, settings, remembers)
    results = []
    for _ in range(2):
        run_id = rig.start("darwin-environment", params_of(settings, seed=2, repeatable=True))
        results.append(rig.run(run_id).result)

    assert results[0]["best"] == results[1]["best"]
    failed = results[1]["cost"]["failed"]
    assert failed > 0
    assert results[1]["cost"]["cached"] == 60 - failed
    # In the second run, only the first look and those that had failed were asked.
    repeated = [one for one, count in asked.items() if count > 1]
    assert len(repeated) <= failed + 1


def test_later_passes_do_not_load_what_was_accounted_for(database: Database, settings: Settings) -> None:
    rig = Rig(database, settings, count_ones)
    run_id = rig.start("darwin-environment", params_of(settings))
    rig.run(run_id, until=lambda: len(told_numbers(database, run_id)) >= 40)

    with database.read() as connection:
        loaded = connection.execute(
            text("SELECT count(*) FROM steps WHERE run_id = :run AND NOT folded"), {"run": run_id}
        ).scalar_one()
    assert loaded <= 6


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


def test_an_evolution_is_shown_while_it_runs_and_drawn_for_its_page(
    database: Database, settings: Settings
) -> None:
    rig = Rig(database, settings, count_ones, workers=2)
    run_id = rig.start("darwin-environment", params_of(settings))
    rig.run(run_id, until=lambda: len(told_numbers(database, run_id)) >= 30)

    read_artifact = ArtifactFolder(settings.artifact_folder).read
    with database.read() as connection:
        shown = show_evolution(connection, run_id, read_artifact, now=rig.now)
        pictures = draw_evolution(connection, shown)

    assert (shown["told"], shown["total"]) == (30, 60)
    assert shown["busy_pct"] > 90
    assert 10 < shown["left_s"] < 20
    assert shown["population"][0]["score"] == shown["points"][-1]["best"]
    line = shown["lineage"]
    assert line[-1]["id"] == shown["population"][0]["id"]
    assert any(one["difference"].startswith("- [") for one in line if one["parents"])
    tree = ElementTree.fromstring(pictures["fitness"])
    assert sum(one.tag.endswith("circle") for one in tree.iter()) == 30
    assert "style=" not in pictures["fitness"], "the page's policy allows no styles in elements"

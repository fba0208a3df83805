"""Whatever is killed, and in whichever order answers come, what is recorded plays back to the same population."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from typing import Any

from master.settings import Settings
from master.store import Database
from master.store.artifacts import ArtifactFolder
from tests.integration.core.darwin.stage import at_random, count_ones, params_of, played_back, told_numbers
from tests.rig import Killed, Rig, killing


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

"""Stopped, continued, answered from what is known, and shown meanwhile."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import text

from master.darwin.glance import Comparers, Wish, look_at_evolution
from master.darwin.records import stop_evolution
from master.darwin.view import show_evolution
from master.settings import Settings
from master.store import Database
from master.store.artifacts import ArtifactFolder, record_artifact
from tests.integration.core.darwin.stage import PROGRAM, count_ones, params_of, told_numbers
from tests.rig import Rig, Work


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


def test_an_evolution_is_shown_while_it_runs_and_drawn_for_its_page(
    database: Database, settings: Settings
) -> None:
    rig = Rig(database, settings, count_ones, workers=2)
    params = params_of(settings)
    # As whoever uploads a program does: the page compares genomes by artifacts of which the size is known.
    about = {"name": "ones.py", "media_type": "text/x-python", "size": len(PROGRAM), "run_id": ""}
    with database.write() as connection:
        record_artifact(connection, params["environment"], now=rig.now, **about)
    run_id = rig.start("darwin-environment", params)
    rig.run(run_id, until=lambda: len(told_numbers(database, run_id)) >= 30)

    read_artifact = ArtifactFolder(settings.artifact_folder).read
    with database.read() as connection:
        shown = show_evolution(connection, run_id, read_artifact, now=rig.now)
        page = look_at_evolution(connection, run_id, read_artifact, Comparers(), Wish(), now=rig.now)

    assert (shown["told"], shown["total"]) == (30, 60)
    assert shown["busy_pct"] > 90
    assert 10 < shown["left_s"] < 20
    assert shown["population"][0]["score"] == shown["points"][-1]["best"]
    line = shown["lineage"]
    assert line[-1]["id"] == shown["population"][0]["id"]
    assert any(one["difference"].startswith("- [") for one in line if one["parents"])
    assert [one.told for one in page["points"]] == list(range(30))
    assert page["family"]["changes"][0]["parent"] == line[-1]["parents"][0]
    assert (page["total"], page["population"][0]) == (60, shown["population"][0])

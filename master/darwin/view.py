"""An evolution as it stands, for people: read by the terminal, the dashboard and other programs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Float, func, select, type_coerce

from master.darwin.engines.protocol import Variation
from master.darwin.environment import read_environment
from master.darwin.genome import space_of
from master.darwin.glance import left_s_of, population_of, total_of
from master.darwin.in_environment import variation_of
from master.darwin.listing import FLOWS
from master.darwin.reading import Ancestor, load_lineage, load_points, load_scores
from master.darwin.tally import Tally
from master.darwin.variation import TextVariation
from master.flows.carried import load_carried
from master.flows.runs import get_run
from master.store.tables import attempts, steps, workers
from tasks.darwin_genome import Corpus
from tasks.errors import D8Error, NotFound

#: Tells in a picture, at most.
_POINTS = 800

ReadArtifact = Callable[[str], bytes]


def show_evolution(
    connection: Connection, run_id: str, read_artifact: ReadArtifact, *, now: datetime
) -> dict[str, Any]:
    """All of it, with every ancestor's differences. ``NotFound``: there is no such run, or it is no evolution."""
    run = get_run(connection, run_id)
    if run.flow not in FLOWS:
        raise NotFound(f"run {run_id} is a {run.flow} run and no evolution: 'd8 run list' names the runs")
    carried = load_carried(connection, run_id)
    campaign = carried.get("campaign", {})
    tally = Tally.load(campaign.get("tally", {}))
    population = population_of(campaign.get("engine", {}))
    points = load_points(connection, run_id, _POINTS)
    ended = run.finished_at or now
    elapsed_s = max(0.001, (ended - run.created_at).total_seconds())
    total = total_of(campaign.get("engine", {}), run.params)
    lineage: list[dict[str, Any]] = []
    if population:
        lineage = _lineage(connection, run_id, population[0]["number"], carried, run.params, read_artifact)
    return {
        "id": run_id,
        "flow": run.flow,
        "state": run.state,
        "error": run.error,
        "note": run.note,
        "told": tally.told,
        "total": total,
        "failed": tally.failed,
        "cached": tally.cached,
        "tokens": tally.tokens,
        "micros": tally.micros,
        "elapsed_s": round(elapsed_s, 1),
        "left_s": left_s_of(tally, total, elapsed_s) if run.state == "running" else 0.0,
        "busy_pct": _busy_pct(connection, run_id, run.created_at, ended),
        "why_closed": tally.why_closed,
        "population": population,
        "lineage": lineage,
        "points": [
            {"told": one.told, "candidate": one.candidate, "score": one.score, "best": one.best}
            for one in points
        ],
        "result": run.result,
    }


def _busy_pct(connection: Connection, run_id: str, begun: datetime, ended: datetime) -> float:
    """Share of the fleet's slots that worked on this run, over its time."""
    slots = connection.execute(
        select(func.coalesce(func.sum(workers.c.slots), 0)).where(workers.c.state == "active")
    ).scalar_one()
    # Times are stored as seconds (``UtcDateTime``).
    end = func.coalesce(type_coerce(attempts.c.ended_at, Float), ended.timestamp())
    worked = connection.execute(
        select(func.coalesce(func.sum(end - type_coerce(attempts.c.claimed_at, Float)), 0.0))
        .select_from(attempts.join(steps, steps.c.id == attempts.c.step_id))
        .where(steps.c.run_id == run_id)
    ).scalar_one()
    seconds = (ended - begun).total_seconds() * int(slots)
    return round(min(100.0, 100.0 * float(worked) / seconds), 1) if seconds > 0 else 0.0


def _lineage(
    connection: Connection,
    run_id: str,
    number: int,
    carried: dict[str, Any],
    params: dict[str, Any],
    read_artifact: ReadArtifact,
) -> list[dict[str, Any]]:
    line = load_lineage(connection, run_id, number)
    scores = load_scores(connection, run_id, [one.number for one in line])
    by_number = {one.number: one for one in line}
    variation = _variation(carried, params, read_artifact)
    return [
        {
            "id": one.id,
            "parents": [f"c{parent}" for parent in one.parents],
            "operators": list(one.operators),
            "score": scores.get(one.number, (None, 0))[0],
            "difference": _difference(variation, by_number, one),
        }
        for one in line
    ]


def _variation(
    carried: dict[str, Any], params: dict[str, Any], read_artifact: ReadArtifact
) -> Variation[Any] | None:
    """How this run's genomes are compared; None when what it takes is not kept any more."""
    try:
        if "environment" in params:
            return variation_of(read_environment(read_artifact(params["environment"]), params["filename"]))
        corpus = Corpus.model_validate_json(read_artifact(carried["prepared"]["corpus"]))
    except D8Error:
        return None
    return TextVariation(space_of(corpus), corpus)


def _difference(variation: Variation[Any] | None, by_number: dict[int, Ancestor], one: Ancestor) -> str:
    mother = by_number.get(one.parents[0]) if one.parents else None
    if mother is None or variation is None:
        return ""
    told = variation.describe_difference(variation.load(mother.genome), variation.load(one.genome))
    return "\n".join(line for line in told.splitlines() if line[:1] in "+-")

"""One evolution as its page shows it: everything that is needed to draw it, in reads that stay small however
long it has run."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from master.darwin.engines.protocol import Variation
from master.darwin.environment import Environment, read_environment
from master.darwin.genome import space_of
from master.darwin.in_environment import variation_of
from master.darwin.listing import FLOWS
from master.darwin.reading import Ancestor, Point, load_lineage, load_scores
from master.darwin.tables import trials
from master.darwin.tally import Tally
from master.darwin.variation import TextVariation
from master.flows.carried import load_carried
from master.flows.runs import get_run
from master.store.tables import artifacts, workers
from tasks.darwin_genome import Corpus
from tasks.errors import D8Error, NotFound

#: Tells in a picture, at most.
POINTS = 400
#: Ancestors in a family tree, at most.
FAMILY = 40
#: Candidates of the population that a page lists and draws, at most.
POPULATION = 60

#: What a picture knows of a tell.
_NAMES = tuple(field.name for field in dataclasses.fields(Point))
_OF_POINT = [trials.c[name] for name in _NAMES]

ReadArtifact = Callable[[str], bytes]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wish:
    """What of an evolution is wanted beside its standing."""

    #: The candidate whose family is shown; None for the best.
    of: int | None = None
    #: The ancestor whose differences from its parents are shown; None for ``of`` itself.
    at: int | None = None


class Comparers:
    """How a run's genomes are compared, kept for the last few runs that were looked at: what it takes is an
    artifact that is read and parsed."""

    _KEPT = 3
    #: A larger corpus is left alone: to name a demonstration's text is not worth its memory.
    _MOST_BYTES = 2 * 2**20

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Variation[Any] | None] = OrderedDict()

    def get(
        self,
        connection: Connection,
        carried: Mapping[str, Any],
        params: Mapping[str, Any],
        read: ReadArtifact,
    ) -> Variation[Any] | None:
        """None when what it takes is not kept any more, or too large."""
        digest = params.get("environment") or carried.get("prepared", {}).get("corpus", "")
        if digest not in self._kept:
            self._kept[digest] = self._make(connection, digest, params, read)
            while len(self._kept) > self._KEPT:
                self._kept.popitem(last=False)
        return self._kept[digest]

    def _make(
        self, connection: Connection, digest: str, params: Mapping[str, Any], read: ReadArtifact
    ) -> Variation[Any] | None:
        size = connection.execute(select(artifacts.c.size).where(artifacts.c.digest == digest)).scalar()
        if size is None or size > self._MOST_BYTES:
            return None
        try:
            if "environment" in params:
                return variation_of(read_environment(read(digest), params["filename"]))
            corpus = Corpus.model_validate_json(read(digest))
        except (D8Error, ValueError):
            return None
        return TextVariation(space_of(corpus), corpus)


def look_at_evolution(
    connection: Connection,
    run_id: str,
    read_artifact: ReadArtifact,
    comparers: Comparers,
    wish: Wish,
    *,
    now: datetime,
) -> dict[str, Any]:
    """The page's values. ``NotFound``: there is no such run, it is no evolution, or it has no such candidate."""
    run = get_run(connection, run_id)
    if run.flow not in FLOWS:
        raise NotFound(f"run {run_id} is a {run.flow} run and no evolution: see it at /runs/{run_id}")
    carried = load_carried(connection, run_id)
    campaign = carried.get("campaign", {})
    engine = campaign.get("engine", {})
    tally = Tally.load(campaign.get("tally", {}))
    population = population_of(engine, POPULATION)
    ended = run.finished_at or now
    elapsed_s = max(0.001, (ended - run.created_at).total_seconds())
    total = total_of(engine, run.params)
    slots = _slots(connection)
    return {
        "id": run_id,
        "flow": run.flow,
        "name": run.params.get("name") or run.params.get("filename", ""),
        "state": run.state,
        "error": run.error,
        "note": run.note,
        "progress": run.progress,
        "params": run.params,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        "elapsed_s": elapsed_s,
        "tally": tally,
        "total": total,
        "left_s": left_s_of(tally, total, elapsed_s) if run.state == "running" else 0.0,
        "slots": slots,
        "busy_share": min(1.0, tally.busy_s / (elapsed_s * slots)) if slots else 0.0,
        "population": population,
        "places": len(engine.get("population", [])),
        "goals": _goals(run.params, read_artifact),
        "points": sample_points(connection, run_id, tally.told),
        "race": _race(connection, run_id, len(carried.get("prepared", {}).get("blocks", []))),
        "family": _family(connection, run, carried, population, wish, read_artifact, comparers),
        "result": run.result,
    }


def population_of(engine: Mapping[str, Any], most: int | None = None) -> list[dict[str, Any]]:
    """Who holds a place, best first, out of an engine's snapshot."""
    entries = {one["n"]: one for one in engine.get("entries", [])}
    found = []
    for number in engine.get("population", [])[:most]:
        one = entries[number]
        answered = max(1, len(one["s"]))
        found.append(
            {
                "number": number,
                "id": f"c{number}",
                "digest": one["d"],
                "score": sum(one["s"]) / answered,
                "answered": len(one["s"]),
                "objectives": one["ob"],
                "tokens": one["t"] / answered,
                "seconds": one["x"] / answered,
                "operators": one["o"],
            }
        )
    return found


def total_of(engine: Mapping[str, Any], params: Mapping[str, Any]) -> int:
    """Evaluations that it may take in all."""
    budget = params.get("budget", {})
    return int(budget.get("evals") or engine.get("budget") or engine.get("spent", 0))


def left_s_of(tally: Tally, total: int, elapsed_s: float) -> float:
    """At the pace so far. What was known already took no time and is no measure."""
    worked = tally.told - tally.cached
    if worked < 1 or total <= tally.told:
        return 0.0
    return round((total - tally.told) * elapsed_s / worked, 1)


def sample_points(connection: Connection, run_id: str, told: int, most: int = POINTS) -> list[Point]:
    """The run's tells in their order; of a longer run so many, evenly, and the last. ``told`` may be behind."""
    last = connection.execute(select(func.max(trials.c.told)).where(trials.c.run_id == run_id)).scalar()
    if last is None:
        return []
    count = max(told, last + 1)
    wanted = range(count) if count <= most else sorted({round(at * last / (most - 1)) for at in range(most)})
    query = select(*_OF_POINT).where(trials.c.run_id == run_id).order_by(trials.c.told)
    if count > most:
        query = query.where(trials.c.told.in_(wanted))
    # Hundreds of rows: a row's own dictionary would cost more than reading it.
    return [Point(**dict(zip(_NAMES, row, strict=True))) for row in connection.execute(query)]


def _slots(connection: Connection) -> int:
    query = select(func.coalesce(func.sum(workers.c.slots), 0)).where(workers.c.state == "active")
    return int(connection.execute(query).scalar_one())


def _goals(params: Mapping[str, Any], read: ReadArtifact) -> tuple[str, ...]:
    """What an environment's numbers should be, "min" or "max"; none for examples."""
    if "environment" not in params:
        return ()
    try:
        environment: Environment = read_environment(read(params["environment"]), params["filename"])
    except D8Error:
        return ()
    return tuple(environment.goals)


def _race(connection: Connection, run_id: str, blocks: int) -> dict[str, Any] | None:
    """How far candidates came: so many answered 1 block, 2 blocks, ...; None where nothing is raced."""
    if blocks < 2:
        return None
    each = (
        select(trials.c.candidate, func.count().label("answered"))
        .where(trials.c.run_id == run_id, trials.c.kind == "evaluated")
        .group_by(trials.c.candidate)
        .subquery()
    )
    rows = connection.execute(select(each.c.answered, func.count()).group_by(each.c.answered))
    came: dict[int, int] = {min(answered, blocks): 0 for answered in range(1, blocks + 1)}
    spent = 0
    for answered, count in rows:
        came[min(answered, blocks)] += count
        spent += answered * count
    raced = sum(came.values())
    saved = 1 - spent / (raced * blocks) if raced else 0.0
    return {"blocks": blocks, "came": sorted(came.items()), "raced": raced, "saved": max(0.0, saved)}


def _family(
    connection: Connection,
    run: Any,
    carried: Mapping[str, Any],
    population: Sequence[Mapping[str, Any]],
    wish: Wish,
    read: ReadArtifact,
    comparers: Comparers,
) -> dict[str, Any] | None:
    """The ancestors of one candidate, and what the chosen one changed. None while there is no candidate."""
    root = wish.of if wish.of is not None else _best_of(run.result, population)
    if root is None:
        return None
    line = load_lineage(connection, run.id, root, FAMILY)
    by_number = {one.number: one for one in line}
    chosen = by_number.get(wish.at if wish.at is not None else root)
    if chosen is None:
        raise NotFound(f"evolution {run.id} has no candidate c{wish.at if root in by_number else root} there")
    scores = load_scores(connection, run.id, list(by_number))
    return {
        "root": root,
        "chosen": chosen,
        "members": [(one, scores.get(one.number, (None, 0))) for one in line],
        "cut": any(parent not in by_number for one in line for parent in one.parents),
        "changes": _changes(
            comparers.get(connection, carried, run.params, read), _parents(connection, run.id, chosen), chosen
        ),
    }


def _best_of(result: Mapping[str, Any] | None, population: Sequence[Mapping[str, Any]]) -> int | None:
    if population:
        return int(population[0]["number"])
    best = (result or {}).get("best")
    first = best[0] if isinstance(best, list) and best else best
    return int(first["id"][1:]) if first else None


def _parents(connection: Connection, run_id: str, chosen: Ancestor) -> list[Ancestor]:
    """In the order of its parents; those that are kept."""
    found = []
    for number in dict.fromkeys(chosen.parents):
        found += load_lineage(connection, run_id, number, 1)
    return found


def _changes(
    variation: Variation[Any] | None, parents: Sequence[Ancestor], chosen: Ancestor
) -> list[dict[str, Any]] | None:
    """Line by line, what is different from each parent; None when genomes cannot be compared."""
    if variation is None:
        return None
    try:
        child = variation.load(chosen.genome)
        return [
            {
                "parent": one.id,
                "lines": _lines(variation.describe_difference(variation.load(one.genome), child)),
            }
            for one in parents
        ]
    except D8Error:
        return None


def _lines(difference: str) -> list[tuple[str, str]]:
    """(``added``, ``gone`` or ``same``; text)."""
    kinds = {"+": "added", "-": "gone"}
    return [(kinds.get(line[:1], "same"), line[2:]) for line in difference.splitlines()]

"""The studies there are, what they found, and one of them as its page shows it. Bounded reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from master.flows.runs import get_run, start_run
from master.niches.changes import Change, changes_since
from master.niches.report import MarketStudy
from master.niches.tables import niches
from master.store.tables import artifacts, runs
from tasks.errors import NotFound, Refused

FLOW = "niche"
#: Studies that are looked through for the best niches, or for the study before one.
_LOOKED_THROUGH = 30

ReadArtifact = Callable[[str], bytes]


def list_studies(
    connection: Connection, *, limit: int = 25, before: datetime | None = None
) -> list[dict[str, Any]]:
    """The newest first, each with the best niche of each of its markets."""
    query = (
        select(
            runs.c.id, runs.c.state, runs.c.note, runs.c.error, runs.c.progress, runs.c.params,
            runs.c.created_at, runs.c.finished_at,
        )
        .where(runs.c.flow == FLOW)
        .order_by(runs.c.created_at.desc(), runs.c.id)
        .limit(limit)
    )  # fmt: skip
    if before is not None:
        query = query.where(runs.c.created_at < before)
    found = [{**row._asdict(), "best": []} for row in connection.execute(query)]
    by_id = {one["id"]: one for one in found}
    first = select(niches).where(niches.c.run_id.in_(list(by_id)), niches.c.rank == 1)
    for row in connection.execute(first.order_by(niches.c.score.desc())):
        by_id[row.run_id]["best"].append(row._asdict())
    return found


def list_best(connection: Connection, *, limit: int = 12) -> list[dict[str, Any]]:
    """The best niches of the latest studies, each market's niche once, as its newest study has it."""
    latest = (
        select(runs.c.id, runs.c.created_at)
        .where(runs.c.flow == FLOW)
        .order_by(runs.c.created_at.desc(), runs.c.id)
        .limit(_LOOKED_THROUGH)
        .subquery()
    )
    query = (
        select(niches, latest.c.created_at)
        .join(latest, latest.c.id == niches.c.run_id)
        .where(niches.c.rank <= limit)
        .order_by(latest.c.created_at.desc(), niches.c.rank)
    )
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in connection.execute(query):
        newest.setdefault((row.market, row.label), row._asdict())
    return sorted(newest.values(), key=lambda one: -one["score"])[:limit]


def look_at_study(connection: Connection, run_id: str, market: str, read: ReadArtifact) -> dict[str, Any]:
    """One study in one of its markets ("" for the one with the best niche). ``NotFound``: there is none.
    ``study`` is None while nothing is ranked."""
    run = get_run(connection, run_id)
    if run.flow != FLOW:
        raise NotFound(f"run {run_id} is a {run.flow} run and no niche study: see it at /runs/{run_id}")
    files = _files(connection, run_id)
    studies = load_studies(files, read)
    chosen = _choose(studies, market)
    if market and chosen is None:
        raise NotFound(
            f"study {run_id} has no market {market[:40]!r}: it has {', '.join(studies) or 'none yet'}"
        )
    shown: dict[str, Any] = {
        "id": run_id,
        "state": run.state,
        "note": run.note,
        "error": run.error,
        "progress": run.progress,
        "params": run.params,
        "result": run.result,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        "markets": list(studies),
        "files": files,
        "study": chosen,
        "states": {},
        "before": None,
        "changes": (),
        "report": "",
    }
    if chosen is not None:
        shown["states"] = _states(connection, run_id, chosen.market)
        shown["before"], shown["changes"] = _changes(connection, run, chosen, read)
        if "niches.md" in files:
            shown["report"] = read(files["niches.md"]["digest"]).decode()
    return shown


def load_studies(files: dict[str, dict[str, Any]], read: ReadArtifact) -> dict[str, MarketStudy]:
    """The data of a study by market, in its order; empty while there is none."""
    if "niches.json" not in files:
        return {}
    content = json.loads(read(files["niches.json"]["digest"]))["markets"]
    return {one["market"]: MarketStudy.model_validate(one) for one in content}


def _choose(studies: dict[str, MarketStudy], market: str) -> MarketStudy | None:
    if market:
        return studies.get(market)
    ranked = [study for study in studies.values() if study.ranked]
    return max(ranked, key=lambda study: study.ranked[0].niche.score.total.middle, default=None)


def _files(connection: Connection, run_id: str) -> dict[str, dict[str, Any]]:
    rows = connection.execute(
        select(artifacts.c.name, artifacts.c.digest, artifacts.c.media_type, artifacts.c.size).where(
            artifacts.c.run_id == run_id
        )
    )
    return {row.name: row._asdict() for row in rows}


def _states(connection: Connection, run_id: str, market: str) -> dict[int, tuple[str, str]]:
    """Rank -> (state, domain) of the niches about which something was asked."""
    query = select(niches.c.rank, niches.c.state, niches.c.domain).where(
        niches.c.run_id == run_id, niches.c.market == market, niches.c.state != "ranked"
    )
    return {row.rank: (row.state, row.domain) for row in connection.execute(query)}


def _changes(
    connection: Connection, run: Any, study: MarketStudy, read: ReadArtifact
) -> tuple[dict[str, Any] | None, tuple[Change, ...]]:
    """The study before it that ranked the same market, and what is otherwise now."""
    earlier = (
        select(runs.c.id, runs.c.created_at)
        .where(runs.c.flow == FLOW, runs.c.created_at < run.created_at)
        .order_by(runs.c.created_at.desc(), runs.c.id)
        .limit(_LOOKED_THROUGH)
        .subquery()
    )
    row = connection.execute(
        select(earlier)
        .join(niches, niches.c.run_id == earlier.c.id)
        .where(niches.c.market == study.market, niches.c.rank == 1)
        .order_by(earlier.c.created_at.desc())
        .limit(1)
    ).first()
    if row is None:
        return None, ()
    try:
        before = load_studies(_files(connection, row.id), read).get(study.market)
    except NotFound:
        before = None
    if before is None:
        return None, ()
    return {"id": row.id, "created_at": row.created_at}, changes_since(before.ranked, study.ranked)


def study_again(
    connection: Connection, run_id: str, *, domain_from: float, by: str, now: datetime, once: str = ""
) -> str:
    """The same exports and markets once more, asking about a domain from this score on; returns the run."""
    run = get_run(connection, run_id)
    if run.flow != FLOW:
        raise Refused(f"run {run_id} is a {run.flow} run and no niche study: nothing was started")
    params = {**run.params, "domain_from_score": domain_from}
    return start_run(connection, FLOW, params, now=now, by=by, idempotency_key=once)

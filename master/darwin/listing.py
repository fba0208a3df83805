"""The evolutions there are, and the agents in use: what lists of them show. Bounded reads."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from master.darwin.tables import agents, trials
from master.darwin.tally import Tally
from master.flows.carried import load_carried
from master.store.tables import runs

FLOWS = ("darwin", "darwin-environment")
#: Open evolutions of a list whose carried state is read for their cost: it is larger than a row.
_CARRIED_READ = 8


def list_evolutions(
    connection: Connection, *, limit: int = 25, before: datetime | None = None
) -> list[dict[str, Any]]:
    """The newest first. Each with its best score so far, the held-out result once there is one, and its cost
    (``tokens``, ``micros``; None where it is not known)."""
    query = (
        select(
            runs.c.id, runs.c.flow, runs.c.state, runs.c.params, runs.c.result, runs.c.note, runs.c.error,
            runs.c.progress, runs.c.created_at, runs.c.finished_at,
        )
        .where(runs.c.flow.in_(FLOWS))
        .order_by(runs.c.created_at.desc(), runs.c.id)
        .limit(limit)
    )  # fmt: skip
    if before is not None:
        query = query.where(runs.c.created_at < before)
    rows = connection.execute(query).all()
    still_open = [row.id for row in rows if not row.result][:_CARRIED_READ]
    return [_evolution(connection, row, look=row.id in still_open) for row in rows]


def _evolution(connection: Connection, row: Any, *, look: bool) -> dict[str, Any]:
    last = connection.execute(
        select(trials.c.told, trials.c.best)
        .where(trials.c.run_id == row.id)
        .order_by(trials.c.told.desc())
        .limit(1)
    ).first()
    result = row.result or {}
    cost = result.get("cost") or (_cost_so_far(connection, row.id) if look else {})
    return {
        "id": row.id,
        "flow": row.flow,
        "name": row.params.get("name") or row.params.get("filename", ""),
        "state": row.state,
        "note": row.note,
        "error": row.error,
        "progress": row.progress,
        "engine": row.params.get("engine", ""),
        "told": last.told + 1 if last else 0,
        "best": last.best if last else None,
        "held_out": result.get("held_out"),
        "better": result.get("verdict", {}).get("better"),
        "tokens": cost.get("tokens"),
        "micros": cost.get("micros"),
        "created_at": row.created_at,
        "finished_at": row.finished_at,
    }


def _cost_so_far(connection: Connection, run_id: str) -> dict[str, Any]:
    tally = Tally.load(load_carried(connection, run_id).get("campaign", {}).get("tally", {}))
    return {"tokens": tally.tokens, "micros": tally.micros}


def list_agents(connection: Connection, *, limit: int = 100) -> list[dict[str, Any]]:
    """Agents by name, each with its versions, the newest first; the one in use is marked."""
    rows = connection.execute(select(agents).order_by(agents.c.name, agents.c.version.desc()).limit(limit))
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        one = found.setdefault(row.name, {"name": row.name, "versions": []})
        one["versions"].append(
            {
                "version": row.version,
                "in_use": row.in_use,
                "run": row.run_id,
                "artifact": row.artifact,
                "score": row.score,
                "by": row.approved_by,
                "at": row.at,
            }
        )
    return list(found.values())

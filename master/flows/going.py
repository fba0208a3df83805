"""What is recorded of runs that go on, for telling how long they will still take; and which ended lately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from master.flows.left import Going, OpenSteps
from master.store.tables import outcomes, runs, steps

#: The latest ends that are looked at.
_ENDS = 40
_IN_FLIGHT = ("ready", "queued", "running")


def read_going(connection: Connection, open_runs: Sequence[Mapping[str, Any]]) -> dict[str, Going]:
    """By run id, for runs as ``list_runs`` describes them. Two bounded reads of each."""
    open_steps = _open_steps(connection, [run["id"] for run in open_runs])
    return {
        run["id"]: Going(
            progress=run["progress"],
            ended=run["steps_done"] + run["steps_failed"],
            ends=tuple(_ends(connection, run["id"])),
            open=tuple(open_steps.get(run["id"], ())),
        )
        for run in open_runs
    }


def list_ended(connection: Connection, *, limit: int, but_flows: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Of the latest runs those that have ended, the last one first. Their steps are not counted: a page
    that only names them does not need to."""
    latest = (
        select(
            runs.c.id,
            runs.c.flow,
            runs.c.state,
            runs.c.note,
            runs.c.error,
            runs.c.created_at,
            runs.c.finished_at,
        )
        .where(runs.c.finished_at.is_not(None), runs.c.flow.not_in(but_flows))
        .order_by(runs.c.created_at.desc())
        .limit(4 * limit)
    )
    found = [row._asdict() for row in connection.execute(latest)]
    return sorted(found, key=lambda run: (run["finished_at"], run["id"]), reverse=True)[:limit]


def _ends(connection: Connection, run_id: str) -> list[Any]:
    latest = select(outcomes.c.at).where(outcomes.c.run_id == run_id).order_by(outcomes.c.seq.desc())
    return sorted(connection.execute(latest.limit(_ENDS)).scalars())


def _open_steps(connection: Connection, run_ids: Sequence[str]) -> dict[str, list[OpenSteps]]:
    query = (
        select(
            steps.c.run_id,
            steps.c.task,
            steps.c.state,
            func.count().label("number"),
            func.sum(steps.c.progress).label("progress"),
        )
        .where(steps.c.state.in_(_IN_FLIGHT), steps.c.run_id.in_(run_ids), steps.c.kind == "task")
        .group_by(steps.c.run_id, steps.c.task, steps.c.state)
    )
    counted: dict[tuple[str, str], dict[str, float]] = {}
    for row in connection.execute(query):
        known = counted.setdefault((row.run_id, row.task), {"running": 0, "waiting": 0, "progress": 0.0})
        if row.state == "running":
            known["running"] += row.number
            known["progress"] += row.progress
        else:
            known["waiting"] += row.number
    found: dict[str, list[OpenSteps]] = {}
    for (run_id, task), known in sorted(counted.items()):
        found.setdefault(run_id, []).append(
            OpenSteps(
                task=task,
                running=int(known["running"]),
                waiting=int(known["waiting"]),
                progress=known["progress"],
            )
        )
    return found

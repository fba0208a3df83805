"""Runs as people look at them: one, with what belongs to it, or a list of them. What a page asks for costs the
same after years: it is read from indexes and never by going through a run's history."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from master.dispatch.states import OPEN_RUNS, StepState
from master.store.order import later_of
from master.store.tables import (
    OUTCOMES_NOT_DONE,
    STEPS_IN_FLIGHT,
    STEPS_WAITING,
    artifacts,
    attempts,
    outcomes,
    runs,
    steps,
)
from tasks.errors import NotFound


def get_run(connection: Connection, run_id: str) -> Row[Any]:
    """The run's row; ``NotFound`` says how to list them."""
    row = connection.execute(select(runs).where(runs.c.id == run_id)).first()
    if row is None:
        raise NotFound(f"there is no run {run_id!r}: 'd8 run list' shows them")
    return row


def list_runs(
    connection: Connection,
    *,
    state: str = "",
    flow: str = "",
    limit: int = 50,
    before: datetime | None = None,
    after: tuple[datetime, str] | None = None,
) -> list[dict[str, Any]]:
    """Newest first, each with the number of its steps and how many have ended well; ``after``: those that come
    behind the run of this time and id."""
    query = select(runs).order_by(runs.c.created_at.desc(), runs.c.id).limit(limit)
    if state:
        query = query.where(runs.c.state == state)
    if flow:
        query = query.where(runs.c.flow == flow)
    if before is not None:
        query = query.where(runs.c.created_at < before)
    if after is not None:
        query = query.where(later_of((runs.c.created_at, "desc"), (runs.c.id, "asc"), after=after))
    return _with_counts(connection, connection.execute(query).all())


def _with_counts(connection: Connection, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    open_runs = [row.id for row in rows if row.state in OPEN_RUNS]
    ended = [row.id for row in rows if row.state not in OPEN_RUNS]
    counts = _count_steps(connection, open_runs, ended)
    return [describe_run(row, counts[row.id]) for row in rows]


def describe_run(row: Row[Any], counts: Mapping[str, int]) -> dict[str, Any]:
    """The run as the API shows it."""
    return {
        "id": row.id,
        "flow": row.flow,
        "state": row.state,
        "progress": row.progress,
        "note": row.note,
        "steps_total": sum(counts.values()),
        "steps_done": counts.get(StepState.DONE, 0),
        "steps_failed": counts.get(StepState.FAILED, 0),
        "created_at": row.created_at,
        "finished_at": row.finished_at,
        "error": row.error,
        "priority": row.priority,
    }


def show_run(connection: Connection, run_id: str, *, most: int = 0) -> dict[str, Any]:
    """The run with its params, result, steps and artifacts. ``most``: no more steps than so many, those that a
    person looks for: failed ones first, then open ones, then the latest; 0 for all, in their order."""
    row = get_run(connection, run_id)
    shown = _with_counts(connection, [row])[0]
    shown["params"] = row.params
    shown["result"] = row.result
    query = select(steps).where(steps.c.run_id == run_id).order_by(steps.c.id)
    if 0 < most < shown["steps_total"]:
        chosen = steps_to_look_at(connection, run_id, most)
        order = {step_id: place for place, step_id in enumerate(chosen)}
        rows = connection.execute(select(steps).where(steps.c.id.in_(chosen))).all()
        found = sorted(rows, key=lambda step: order[step.id])
    else:
        found = list(connection.execute(query).all())
    shown["steps"] = [_describe_step(step) for step in found]
    shown["artifacts"] = [
        {"digest": a.digest, "name": a.name, "media_type": a.media_type, "size": a.size}
        for a in connection.execute(
            select(artifacts).where(artifacts.c.run_id == run_id).order_by(artifacts.c.name)
        )
    ]
    return shown


def steps_to_look_at(connection: Connection, run_id: str, most: int) -> list[int]:
    """Ids of the failed ones, the open ones and the latest, at most so many, without a look at all others."""
    of_run = steps.c.run_id == run_id
    failed = (
        select(outcomes.c.step_id)
        .where(outcomes.c.run_id == run_id, OUTCOMES_NOT_DONE, outcomes.c.state == StepState.FAILED)
        .order_by(outcomes.c.seq.desc())
    )
    running = select(steps.c.id).where(STEPS_IN_FLIGHT, of_run, steps.c.state == StepState.RUNNING)
    others = select(steps.c.id).where(STEPS_IN_FLIGHT, of_run, steps.c.state != StepState.RUNNING)
    latest = [
        # Each of the two is in the order of its index.
        step_id
        for folded in (False, True)
        for step_id in connection.execute(
            select(steps.c.id)
            .where(of_run, steps.c.folded.is_(folded))
            .order_by(steps.c.id.desc())
            .limit(most)
        ).scalars()
    ]
    chosen: dict[int, None] = {}
    for query in (failed, running, select(steps.c.id).where(STEPS_WAITING, of_run), others):
        chosen |= dict.fromkeys(connection.execute(query.limit(most)).scalars())
    chosen |= dict.fromkeys(sorted(latest, reverse=True))
    return list(chosen)[:most]


def list_attempts(
    connection: Connection,
    run_id: str,
    *,
    of_steps: Collection[int] | None = None,
    limit: int | None = None,
    after: tuple[datetime, int, int] | None = None,
) -> list[dict[str, Any]]:
    """Every attempt at every step of the run, or at these steps of it, in the order of their claims; ``after``:
    those behind the one of this claim, step and number."""
    order = (attempts.c.claimed_at, attempts.c.step_id, attempts.c.attempt)
    query = (
        select(attempts, steps.c.key)
        .join(steps, steps.c.id == attempts.c.step_id)
        .where(steps.c.run_id == run_id)
        .order_by(*order)
        .limit(limit)
    )
    if after is not None:
        query = query.where(later_of(*((column, "asc") for column in order), after=after))
    if of_steps is not None:
        query = query.where(attempts.c.step_id.in_(of_steps))
    if after is not None:
        query = query.where(later_of(*((column, "asc") for column in order), after=after))
    return [row._asdict() for row in connection.execute(query)]


def _describe_step(step: Row[Any]) -> dict[str, Any]:
    return {
        "id": step.id,
        "key": step.key,
        "task": step.task,
        "kind": step.kind,
        "state": step.state,
        # How many attempts have been claimed or are being waited for; 0 for what needs no worker.
        "attempts": step.attempt if step.kind == "task" else 0,
        "worker": step.worker,
        "build": step.build,
        "lane": step.lane,
        "progress": step.progress,
        "note": step.note,
        "error": step.error,
        # What models were asked and what that cost; empty where none was.
        "usage": json.loads(step.usage),
        "created_at": step.created_at,
        "claimed_at": step.claimed_at,
        "finished_at": step.finished_at,
    }


def _count_steps(connection: Connection, open_runs: list[str], ended: list[str]) -> dict[str, Counter[str]]:
    """By run and state, in so many steps as the indexes have: what has ended is counted by its outcomes, what
    is open by the small indexes of open steps, which an ended run has none in."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    of_runs = outcomes.c.run_id.in_([*open_runs, *ended])
    number = func.count().label("steps")
    outcome = select(outcomes.c.run_id, number).where(of_runs).group_by(outcomes.c.run_id)
    for row in connection.execute(outcome):
        counts[row.run_id][StepState.DONE] = row.steps
    for row in connection.execute(
        select(outcomes.c.run_id, outcomes.c.state, number)
        .where(of_runs, OUTCOMES_NOT_DONE)
        .group_by(outcomes.c.run_id, outcomes.c.state)
    ):
        counts[row.run_id][row.state] = row.steps
        counts[row.run_id][StepState.DONE] -= row.steps
    for is_open in (STEPS_IN_FLIGHT, STEPS_WAITING) if open_runs else ():
        of_state = select(steps.c.run_id, steps.c.state, number).where(is_open, steps.c.run_id.in_(open_runs))
        for row in connection.execute(of_state.group_by(steps.c.run_id, steps.c.state)):
            counts[row.run_id][row.state] += row.steps
    return counts

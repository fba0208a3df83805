"""Runs as pages show them: every read here is bounded, however many steps and events a run has."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Text, cast, func, or_, select

from master.dispatch.states import ENDED_STEPS, OPEN_RUNS, StepState
from master.flows.reading import steps_to_look_at
from master.flows.succession import ASIDE, WITHDRAWN
from master.store.tables import STEPS_IN_FLIGHT, artifacts, attempts, events, runs, steps
from tasks.errors import NotFound

_IN_HAND = (StepState.READY, StepState.QUEUED, StepState.RUNNING)
_ASIDE = or_(steps.c.key.contains(ASIDE), steps.c.key.contains(WITHDRAWN))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunFilter:
    """Which runs are looked for; what is empty does not restrict."""

    state: str = ""
    flow: str = ""
    #: Part of the id or of the params.
    text: str = ""
    #: Who started it, as ``started_by`` has it.
    by: str = ""
    since: datetime | None = None
    #: Before this moment.
    until: datetime | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class After:
    """The run after which the next page begins: runs are listed newest first, equally old ones by id."""

    created_at: datetime
    run_id: str


def find_runs(
    connection: Connection, wanted: RunFilter, *, limit: int, after: After | None = None
) -> list[dict[str, Any]]:
    """Newest first, each with how many of its steps are in hand or wait for a worker."""
    columns = [column for column in runs.c if column.name != "result"]
    query = select(*columns).where(*_conditions(wanted)).order_by(runs.c.created_at.desc(), runs.c.id)
    if after is not None:
        same = (runs.c.created_at == after.created_at) & (runs.c.id > after.run_id)
        query = query.where(or_(runs.c.created_at < after.created_at, same))
    found = [row._asdict() for row in connection.execute(query.limit(limit))]
    # What has ended has none: it is not asked about.
    in_flight = _count_in_flight(connection, [run["id"] for run in found if run["state"] in OPEN_RUNS])
    none = dict.fromkeys(map(str, _IN_HAND), 0)
    return [{**run, "in_flight": in_flight.get(run["id"], none)} for run in found]


def count_runs(connection: Connection, wanted: RunFilter) -> dict[str, int]:
    """State -> how many runs like that there are, whatever ``wanted`` says of the state."""
    alike = _conditions(dataclasses.replace(wanted, state=""))
    query = select(runs.c.state, func.count().label("runs")).where(*alike).group_by(runs.c.state)
    return {row.state: row.runs for row in connection.execute(query)}


def list_starters(connection: Connection) -> tuple[list[str], list[str]]:
    """The flows of which there are runs, and who started runs."""
    flows = connection.execute(select(runs.c.flow).distinct().order_by(runs.c.flow)).scalars()
    people = select(runs.c.started_by).distinct().where(runs.c.started_by != "").order_by(runs.c.started_by)
    return list(flows), list(connection.execute(people.limit(100)).scalars())


def _conditions(wanted: RunFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.state:
        found.append(runs.c.state == wanted.state)
    if wanted.flow:
        found.append(runs.c.flow == wanted.flow)
    if wanted.by:
        found.append(runs.c.started_by == wanted.by)
    if wanted.since is not None:
        found.append(runs.c.created_at >= wanted.since)
    if wanted.until is not None:
        found.append(runs.c.created_at < wanted.until)
    if wanted.text:
        places = (runs.c.id, cast(runs.c.params, Text))
        found.append(or_(*(place.icontains(wanted.text, autoescape=True) for place in places)))
    return found


def _count_in_flight(connection: Connection, run_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    query = (
        select(steps.c.run_id, steps.c.state, func.count().label("steps"))
        .where(STEPS_IN_FLIGHT, steps.c.run_id.in_(run_ids))
        .group_by(steps.c.run_id, steps.c.state)
    )
    counts = {run_id: dict.fromkeys(map(str, _IN_HAND), 0) for run_id in run_ids}
    for row in connection.execute(query):
        counts[row.run_id][row.state] = row.steps
    return counts


_COLUMNS = [steps.c[name] for name in (
    "id", "key", "task", "kind", "state", "attempt", "worker", "build", "lane", "progress", "note", "error", "usage",
    "created_at", "claimed_at", "finished_at",
)]  # fmt: skip


def read_steps(connection: Connection, run_id: str, *, limit: int) -> list[dict[str, Any]]:
    """All steps in the order in which they were asked for, when they are at most ``limit``; else so many of them:
    what failed and what is open first, then the newest."""
    of_run = steps.c.run_id == run_id
    newest = select(steps.c.id).where(of_run).order_by(steps.c.id.desc()).limit(limit + 1)
    ids = list(connection.execute(newest).scalars())
    if len(ids) <= limit:
        return _read_these(connection, ids[::-1])
    return _read_these(connection, steps_to_look_at(connection, run_id, limit))


def _read_these(connection: Connection, ids: Sequence[int]) -> list[dict[str, Any]]:
    """In the order of their numbers as given."""
    rows = connection.execute(select(*_COLUMNS).where(steps.c.id.in_(ids)))
    found = {row.id: _describe(row) for row in rows}
    return [found[step_id] for step_id in ids]


def find_step(connection: Connection, run_id: str, key: str) -> dict[str, Any]:
    """One step with its ``request``, its ``result`` (None before it is done), and all its ``tries``.
    ``NotFound``: the run has none of this key."""
    columns = [*_COLUMNS, steps.c.request, steps.c.result, steps.c.needs, steps.c.only_worker]
    row = connection.execute(select(*columns).where(steps.c.run_id == run_id, steps.c.key == key)).first()
    if row is None:
        raise NotFound(f"run {run_id} has no step {key[:80]!r}: 'd8 run show {run_id}' lists its steps")
    tries = select(attempts).where(attempts.c.step_id == row.id).order_by(attempts.c.attempt)
    return {
        **_describe(row),
        "request": json.loads(row.request or "{}"),
        "result": json.loads(row.result) if row.result else None,
        "tries": [each._asdict() for each in connection.execute(tries)],
    }


def read_group(connection: Connection, run_id: str, stem: str, *, limit: int) -> list[dict[str, Any]]:
    """The newest steps whose keys begin with ``stem``, in the order in which they were asked for."""
    alike = (steps.c.run_id == run_id) & steps.c.key.startswith(stem, autoescape=True)
    newest = select(steps.c.id).where(alike).order_by(steps.c.id.desc()).limit(limit)
    return _read_these(connection, list(connection.execute(newest).scalars())[::-1])


def _describe(row: Row[Any]) -> dict[str, Any]:
    made = row._asdict()
    # 0 for what needs no worker.
    made["attempts"] = made.pop("attempt") if row.kind == "task" else 0
    made["usage"] = json.loads(row.usage)
    return made


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepGroup:
    """Steps of one run whose keys begin alike."""

    #: What their keys have before the first colon.
    stem: str
    #: State -> how many, but for those that are set aside.
    counts: dict[str, int]
    #: How many stand for nothing any more.
    aside: int
    first_at: datetime
    #: None while one of them is open.
    last_at: datetime | None

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def group_steps(connection: Connection, run_id: str) -> list[StepGroup]:
    """The steps of a run by what their keys begin with, in the order in which the first of each was asked for."""
    stem = _stem(connection)
    query = (
        select(
            stem.label("stem"),
            steps.c.state,
            _ASIDE.label("aside"),
            func.count().label("steps"),
            func.min(steps.c.created_at).label("first_at"),
            func.max(steps.c.finished_at).label("last_at"),
        )
        .where(steps.c.run_id == run_id)
        .group_by(stem, steps.c.state, _ASIDE)
    )
    found: dict[str, StepGroup] = {}
    for row in connection.execute(query):
        new = StepGroup(
            stem=row.stem,
            counts={} if row.aside else {row.state: row.steps},
            aside=row.steps if row.aside else 0,
            first_at=row.first_at,
            last_at=row.last_at if row.state in ENDED_STEPS else None,
        )
        old = found.get(row.stem)
        found[row.stem] = new if old is None else _joined(old, new)
    return sorted(found.values(), key=lambda group: (group.first_at, group.stem))


def _joined(one: StepGroup, other: StepGroup) -> StepGroup:
    last_at = None if one.last_at is None or other.last_at is None else max(one.last_at, other.last_at)
    return StepGroup(
        stem=one.stem,
        counts={**one.counts, **other.counts},
        aside=one.aside + other.aside,
        first_at=min(one.first_at, other.first_at),
        last_at=last_at,
    )


def _stem(connection: Connection) -> ColumnElement[str]:
    """A key up to its first colon, in the words of the database."""
    if connection.dialect.name == "sqlite":
        return func.substr(steps.c.key, 1, func.instr(steps.c.key + ":", ":") - 1)
    return func.split_part(steps.c.key, ":", 1)


def read_attempts(connection: Connection, run_id: str, *, steps_at_most: int) -> list[dict[str, Any]]:
    """Every attempt at the newest steps of the run, in the order of their claims, each with its step's key."""
    newest = (
        select(steps.c.id).where(steps.c.run_id == run_id).order_by(steps.c.id.desc()).limit(steps_at_most)
    )
    query = (
        select(attempts, steps.c.key, steps.c.progress)
        .join(steps, steps.c.id == attempts.c.step_id)
        .where(attempts.c.step_id.in_(newest))
        .order_by(attempts.c.claimed_at, attempts.c.step_id)
    )
    return [row._asdict() for row in connection.execute(query)]


def read_log(
    connection: Connection, run_id: str, *, limit: int, before: int | None = None
) -> list[dict[str, Any]]:
    """The run's events, newest first, those before the number ``before``; each with the key of its step."""
    query = (
        select(events, steps.c.key.label("step"))
        .outerjoin(steps, steps.c.id == events.c.step_id)
        .where(events.c.run_id == run_id)
        .order_by(events.c.seq.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(events.c.seq < before)
    found = []
    for row in connection.execute(query):
        event = row._asdict()
        event["step"] = (event["step"] or "").split(ASIDE)[0]
        found.append(event)
    return found


def list_artifacts(connection: Connection, run_id: str, *, limit: int) -> list[dict[str, Any]]:
    """What the run's steps and the run itself kept, by name."""
    query = (
        select(artifacts).where(artifacts.c.run_id == run_id).order_by(artifacts.c.name, artifacts.c.digest)
    )
    return [row._asdict() for row in connection.execute(query.limit(limit))]

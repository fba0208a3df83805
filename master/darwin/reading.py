"""An evolution as pages, reports and the terminal read it: its tells, its candidates, its best line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from master.darwin.tables import candidates, trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """One tell, for a picture."""

    told: int
    candidate: int
    kind: str
    #: Mean score of the trial; None if it failed.
    score: float | None
    #: Of the best after it.
    best: float | None
    tokens: int
    seconds: float
    cached: bool
    at: datetime


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ancestor:
    """A candidate in a family tree."""

    number: int
    digest: str
    genome: Any
    parents: tuple[int, ...]
    operators: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"c{self.number}"


def load_points(connection: Connection, run_id: str, most: int = 4000) -> list[Point]:
    """The run's tells in their order; of a longer run, every so-manieth, and the last."""
    count = connection.execute(
        select(func.count()).select_from(trials).where(trials.c.run_id == run_id)
    ).scalar_one()
    step = max(1, -(-count // most))
    query = (
        select(
            trials.c.told, trials.c.candidate, trials.c.kind, trials.c.score, trials.c.best,
            trials.c.tokens, trials.c.seconds, trials.c.cached, trials.c.at,
        )
        .where(trials.c.run_id == run_id)
        .order_by(trials.c.told)
    )  # fmt: skip
    if step > 1:
        query = query.where((trials.c.told % step == 0) | (trials.c.told == count - 1))
    return [Point(**row._asdict()) for row in connection.execute(query)]


def load_lineage(connection: Connection, run_id: str, number: int, most: int = 40) -> list[Ancestor]:
    """The candidate and those it comes from, the oldest first; of a long line, the youngest ``most``."""
    found: dict[int, Ancestor] = {}
    wanted = [number]
    while wanted and len(found) < most:
        rows = connection.execute(
            select(candidates).where(candidates.c.run_id == run_id, candidates.c.number.in_(wanted))
        )
        fresh = [_ancestor(row._asdict()) for row in rows]
        found |= {one.number: one for one in fresh}
        wanted = sorted({parent for one in fresh for parent in one.parents} - found.keys(), reverse=True)
        wanted = wanted[: most - len(found)]
    return [found[at] for at in sorted(found)]


def load_scores(connection: Connection, run_id: str, numbers: list[int]) -> dict[int, tuple[float, int]]:
    """Mean score and number of trials of these candidates."""
    rows = connection.execute(
        select(trials.c.candidate, func.avg(trials.c.score), func.count(trials.c.score))
        .where(trials.c.run_id == run_id, trials.c.candidate.in_(numbers), trials.c.score.is_not(None))
        .group_by(trials.c.candidate)
    )
    return {number: (float(mean), count) for number, mean, count in rows}


def _ancestor(row: Mapping[str, Any]) -> Ancestor:
    return Ancestor(
        number=row["number"],
        digest=row["digest"],
        genome=json.loads(row["genome"]),
        parents=tuple(json.loads(row["parents"])),
        operators=tuple(json.loads(row["operators"])),
    )

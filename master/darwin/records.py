"""The rows of an evolution: written with each pass, read by pages, reports and whoever plays it back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from master.darwin.engines.protocol import Candidate, Evaluation, Failed, Outcome, Proposed
from master.darwin.tables import candidates, stops, trials
from master.dispatch.wake import wake_run

_DIALECTS: dict[str, Any] = {"postgresql": postgresql, "sqlite": sqlite}
_NEW_CANDIDATE = {
    name: dialect.insert(candidates).on_conflict_do_nothing(index_elements=["run_id", "number"])
    for name, dialect in _DIALECTS.items()
}
_NEW_STOP = {
    name: dialect.insert(stops).on_conflict_do_nothing(index_elements=["run_id"])
    for name, dialect in _DIALECTS.items()
}
_NEW_TRIAL = insert(trials)
_STOP = select(stops.c.by).where(stops.c.run_id == bindparam("b_run"))
_KINDS: dict[type, str] = {Evaluation: "evaluated", Failed: "failed", Proposed: "proposed"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Told:
    """One tell."""

    told: int
    number: int
    asked_after: int
    candidate: int
    outcome: Outcome
    #: Of the best after it; None while nobody was evaluated.
    best: float | None
    cached: bool


def dump_outcome(outcome: Outcome) -> str:
    """As JSON, exactly: Python writes floats so that they come back to the bit."""
    return json.dumps(dataclasses.asdict(outcome), separators=(",", ":"), ensure_ascii=False)


def load_outcome(kind: str, text: str) -> Outcome:
    data = json.loads(text)
    if kind == "failed":
        return Failed(error=data["error"])
    if kind == "proposed":
        return Proposed(genomes=tuple(data["genomes"]), note=data["note"])
    return Evaluation(
        scores=tuple(data["scores"]),
        objectives=tuple(data["objectives"]),
        tokens=data["tokens"],
        seconds=data["seconds"],
        feedback=tuple(data["feedback"]),
    )


def save_candidates(connection: Connection, run_id: str, new: Sequence[tuple[Candidate[Any], Any]]) -> None:
    """Candidates with their genomes as JSON; those that are there stay."""
    if not new:
        return
    connection.execute(
        _NEW_CANDIDATE[connection.dialect.name],
        [
            {
                "run_id": run_id,
                "number": one.number,
                "digest": one.digest,
                "genome": json.dumps(genome, separators=(",", ":"), ensure_ascii=False),
                "parents": json.dumps(list(one.parents)),
                "operators": json.dumps(list(one.operators)),
            }
            for one, genome in new
        ],
    )


def save_tells(connection: Connection, run_id: str, new: Sequence[Told], now: datetime) -> None:
    """The tells of a pass, in their order."""
    if new:
        connection.execute(_NEW_TRIAL, [_tell_row(run_id, one, now) for one in new])


def _tell_row(run_id: str, one: Told, now: datetime) -> dict[str, Any]:
    evaluated = one.outcome if isinstance(one.outcome, Evaluation) else None
    return {
        "run_id": run_id,
        "told": one.told,
        "number": one.number,
        "asked_after": one.asked_after,
        "candidate": one.candidate,
        "kind": _KINDS[type(one.outcome)],
        "outcome": dump_outcome(one.outcome),
        "score": sum(evaluated.scores) / len(evaluated.scores) if evaluated and evaluated.scores else None,
        "best": one.best,
        "tokens": evaluated.tokens if evaluated else 0,
        "seconds": evaluated.seconds if evaluated else 0.0,
        "cached": one.cached,
        "at": now,
    }


def load_log(connection: Connection, run_id: str) -> list[tuple[int, int, Outcome]]:
    """What ``engines.replay`` plays back."""
    rows = connection.execute(
        select(trials.c.number, trials.c.asked_after, trials.c.kind, trials.c.outcome)
        .where(trials.c.run_id == run_id)
        .order_by(trials.c.told)
    )
    return [(row.number, row.asked_after, load_outcome(row.kind, row.outcome)) for row in rows]


def stop_evolution(connection: Connection, run_id: str, *, by: str, now: datetime) -> None:
    """It asks for no more evaluations and reports on what it has. Harmless to repeat."""
    connection.execute(_NEW_STOP[connection.dialect.name], {"run_id": run_id, "by": by, "at": now})
    wake_run(connection, run_id, now)


def find_stop(connection: Connection, run_id: str) -> str:
    """Who stopped it, or ""."""
    return connection.execute(_STOP, {"b_run": run_id}).scalar() or ""

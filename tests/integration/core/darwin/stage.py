"""An evolution of ones, answered by functions, and what its records play back to."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from master.darwin.engines.replay import replay
from master.darwin.engines.rules import Rules
from master.darwin.engines.steady import SteadyState
from master.darwin.engines.vector import Space, VectorVariation
from master.darwin.records import load_log
from master.darwin.tables import trials
from master.flows.carried import load_carried
from master.settings import Settings
from master.store import Database
from master.store.artifacts import ArtifactFolder
from tests.rig import Work

BITS = 20
PROGRAM = f"""
GENOME = {{"kind": "vector", "size": {BITS}, "whole": True}}
def evaluate(genome):
    return sum(genome)
""".encode()
Worker = Callable[[str, dict[str, Any], int], Work]


def count_ones(task: str, request: dict[str, Any], attempt: int, *, seconds: float = 1.0) -> Work:
    assert task == "darwin.environment"
    outcomes = [{"values": [float(sum(one))], "error": "", "seconds": 0.1} for one in request["genomes"]]
    return Work(result={"outcomes": outcomes, "seconds": 0.1}, seconds=seconds)


def at_random(chance: random.Random) -> Worker:
    """Takes between a tenth of a second and ten."""
    return lambda *given: count_ones(*given, seconds=10 ** chance.uniform(-1, 1))


def params_of(settings: Settings, evals: int = 60, **more: Any) -> dict[str, Any]:
    program = ArtifactFolder(settings.artifact_folder).write(PROGRAM)
    budget = {"evals": evals, **more.pop("budget", {})}
    return {"environment": program, "filename": "ones.py", "population": 6, "budget": budget, **more}


def played_back(database: Database, run_id: str, evals: int = 60, seed: int = 0) -> dict[str, Any]:
    """The engine that the records make, and the state that the run carries, as JSON."""
    with database.read() as connection:
        log = load_log(connection, run_id)
        campaign = load_carried(connection, run_id)["campaign"]
    engine = SteadyState(
        VectorVariation(Space(size=BITS, whole=True)), Rules(seed=seed, budget=evals, population=6)
    )
    replay(engine, log, campaign["tally"]["asked_after"])
    assert engine.snapshot() == campaign["engine"]
    return engine.snapshot()


def told_numbers(database: Database, run_id: str) -> list[int]:
    with database.read() as connection:
        return list(connection.execute(select(trials.c.number).where(trials.c.run_id == run_id)).scalars())

"""Problems, times, and a home with a database to evolve on."""

from __future__ import annotations

import math
import os
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from master.settings import Settings, load_settings
from master.store import Database
from master.store.artifacts import ArtifactFolder
from tasks import darwin_propose
from tests.rig import Rig, Work

BITS = 100
#: Log-normal with mean 1 and coefficient of variation 1.
_SIGMA = math.sqrt(math.log(2))
WORKERS = 8
ONEMAX = b'GENOME = {"kind": "vector", "size": 100, "whole": True}\ndef evaluate(g):\n    return sum(g)\n'
ZDT1 = (
    b'GENOME = {"kind": "vector", "size": 5}\nGOALS = ["min", "min"]\ndef evaluate(g):\n    return zdt1(g)\n'
)
SPHERE = (
    b'GENOME = {"kind": "vector", "size": 5, "low": -5, "high": 5}\nGOALS = ["min"]\n'
    b"def evaluate(g):\n    return sum(x * x for x in g)\n"
)
Function = Callable[[list[float]], list[float]]


def onemax(genome: list[float]) -> list[float]:
    return [float(sum(genome))]


def zdt1(genome: list[float]) -> list[float]:
    """As DEAP's ``benchmarks.zdt1``."""
    g = 1.0 + 9.0 * sum(genome[1:]) / (len(genome) - 1)
    return [genome[0], g * (1 - math.sqrt(genome[0] / g))]


def sphere(genome: list[float]) -> list[float]:
    return [sum(x * x for x in genome)]


def lognormal(chance: random.Random) -> float:
    """Seconds."""
    return chance.lognormvariate(-(_SIGMA**2) / 2, _SIGMA)


class Bed:
    """A home, a database, and evolutions on them."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="d8-bench-darwin-")
        os.environ["D8_HOME"] = self._folder.name
        self.settings = load_settings()
        self.database = Database(f"sqlite:///{Path(self._folder.name) / 'd8.sqlite3'}")

    def rig(self, function: Function, seconds: Callable[[], float] = lambda: 1.0, **more: Any) -> Rig:
        return Rig(self.database, self.settings, scoring(function, seconds), **more)

    def start(self, rig: Rig, program: bytes, evals: int, **more: Any) -> str:
        return start_evolution(rig, program, evals, **more)


def scoring(
    function: Function, seconds: Callable[[], float] = lambda: 1.0
) -> Callable[[str, dict[str, Any], int], Work]:
    """What a worker does that runs ``function`` as an environment, and the library of CMA-ES."""
    from worker.handlers.darwin_propose import propose

    def work(task: str, request: dict[str, Any], attempt: int) -> Work:
        if task != "darwin.environment":
            assert task == "darwin.propose"
            found = propose(darwin_propose.Request.model_validate(request))
            return Work(result=found.model_dump(mode="json"), seconds=seconds())
        outcomes = [
            {"values": function(genome), "error": "", "seconds": 0.0} for genome in request["genomes"]
        ]
        return Work(result={"outcomes": outcomes, "seconds": 0.0}, seconds=seconds())

    return work


def start_evolution(rig: Rig, program: bytes, evals: int, **more: Any) -> str:
    digest = ArtifactFolder(rig.settings.artifact_folder).write(program)
    params = {"environment": digest, "filename": "bench.py", "budget": {"evals": evals}, **more}
    return rig.start("darwin-environment", params)


def put_evolution(database: Database, settings: Settings, evals: int) -> dict[str, list[str]]:
    """An evolution with a Pareto front that has ended, for pages to show. Nothing else may be open yet."""
    rig = Rig(database, settings, scoring(zdt1), workers=WORKERS)
    run_id = start_evolution(rig, ZDT1, evals, population=16, seed=1)
    assert rig.run(run_id).state == "done"
    return {"/darwin/{run_id}": [run_id]}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

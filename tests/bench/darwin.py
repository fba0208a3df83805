"""``scripts/bench darwin``: evolution compared with the libraries, with waiting, and with being killed.

"Through the fleet" is the real flow, dispatch, claims and reports on a real database (SQLite), with
workers that are functions in this process and a clock that runs as fast as they do (``tests/rig.py``).
``--parts`` chooses; each part prints its own keys to standard error as it ends.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select

from master.darwin.engines import gepa_replay
from master.darwin.engines.breed import Breeding
from master.darwin.engines.choose import make_engine
from master.darwin.engines.pareto import hypervolume2
from master.darwin.engines.protocol import Engine, Evaluation, Proposed, Trial
from master.darwin.engines.replay import replay
from master.darwin.engines.rules import Rules
from master.darwin.engines.vector import Space, VectorVariation
from master.darwin.genome import Space as TextSpace
from master.darwin.records import load_log
from master.darwin.tables import candidates
from master.darwin.variation import TextVariation
from master.flows.carried import load_carried
from master.flows.runs import cancel_run
from master.settings import load_settings
from master.store import Database
from master.store.artifacts import ArtifactFolder
from tasks import darwin_propose
from tests.rig import Killed, Rig, Work, killing

BITS = 100
#: Log-normal with mean 1 and coefficient of variation 1.
_SIGMA = math.sqrt(math.log(2))
_WORKERS = 8

_ONEMAX = b'GENOME = {"kind": "vector", "size": 100, "whole": True}\ndef evaluate(g):\n    return sum(g)\n'
_ZDT1 = (
    b'GENOME = {"kind": "vector", "size": 5}\nGOALS = ["min", "min"]\ndef evaluate(g):\n    return zdt1(g)\n'
)
_SPHERE = (
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

        return Rig(self.database, self.settings, work, **more)

    def start(self, rig: Rig, program: bytes, evals: int, **more: Any) -> str:
        digest = ArtifactFolder(self.settings.artifact_folder).write(program)
        params = {"environment": digest, "filename": "bench.py", "budget": {"evals": evals}, **more}
        return rig.start("darwin-environment", params)


def bench_onemax(bed: Bed, seeds: int) -> dict[str, Any]:
    """OneMax-100 until solved, against DEAP's example in this process."""
    needed: list[int] = []
    for seed in range(seeds):
        asked = 0
        solved = 0

        def count(genome: list[float]) -> list[float]:
            nonlocal asked, solved
            asked += 1
            if sum(genome) == BITS and not solved:
                solved = asked - 1  # the first look is no evaluation
            return onemax(genome)

        rig = bed.rig(count, workers=_WORKERS)
        run_id = bed.start(rig, _ONEMAX, 5000, population=10, seed=seed)
        rig.run(run_id, until=lambda: bool(solved))  # noqa: B023 (called in this turn)
        if rig.row(run_id).state == "running":
            # What it has in flight is not for the next one's workers.
            rig.write(cancel_run, run_id, by="bench")
        if solved:
            needed.append(solved)
        say(f"onemax seed {seed}: {solved or 'not solved'}")
    theirs = [deap_onemax(seed) for seed in range(min(seeds, 10))]
    say(f"DEAP's onemax example: median {statistics.median(theirs):.0f} evaluations ({len(theirs)} seeds)")
    return {
        "onemax100_solved": len(needed),
        "onemax100_median_evals": statistics.median(needed) if needed else None,
    }


def deap_onemax(seed: int) -> int:
    """Evaluations until DEAP's ``examples/ga/onemax.py`` has a string of ones, with its settings."""
    from deap import base, creator, tools

    if not hasattr(creator, "FitnessOnes"):
        creator.create("FitnessOnes", base.Fitness, weights=(1.0,))
        creator.create("Ones", list, fitness=creator.FitnessOnes)
    random.seed(seed)
    population = [creator.Ones(random.randint(0, 1) for _ in range(BITS)) for _ in range(300)]
    for one in population:
        one.fitness.values = (sum(one),)
    spent = len(population)
    while max(one.fitness.values[0] for one in population) < BITS:
        children = [
            creator.Ones(one) for one in tools.selTournament(population, len(population), tournsize=3)
        ]
        for child, source in zip(children, population, strict=True):
            child.fitness.values = (sum(child),)
            del source
        for one, other in zip(children[::2], children[1::2], strict=True):
            if random.random() < 0.5:
                tools.cxTwoPoint(one, other)
                del one.fitness.values, other.fitness.values
        for one in children:
            if random.random() < 0.2:
                tools.mutFlipBit(one, indpb=0.05)
                del one.fitness.values
        for one in children:
            if not one.fitness.valid:
                one.fitness.values = (sum(one),)
                spent += 1
        population = children
    return spent


def bench_zdt1(bed: Bed, seeds: int) -> dict[str, Any]:
    """MU 16, 1,600 evaluations as in DEAP's test; hypervolume against (11, 11). The worst of the seeds."""
    volumes = []
    for seed in range(max(1, seeds // 10)):
        rig = bed.rig(zdt1)
        run_id = bed.start(rig, _ZDT1, 1600, population=16, seed=seed)
        row = rig.run(run_id)
        assert row.state == "done", row.error
        front = [one["genome"] for one in row.result["best"]]
        points = [tuple(-value for value in zdt1(genome)) for genome in front]
        volumes.append(hypervolume2(points, (-11.0, -11.0)))
        say(f"zdt1 seed {seed}: hypervolume {volumes[-1]:.3f}")
    return {"zdt1_hypervolume": round(min(volumes), 4)}


def simulated_s(name: str, seed: int) -> float:
    """Seconds on a simulated clock until 8 workers have solved OneMax-100: the engine alone."""
    chance = random.Random(f"times {seed}")
    engine: Engine[Any] = make_engine(
        name,
        VectorVariation(Space(size=BITS, whole=True)),
        Rules(seed=seed, budget=20_000, population=8, breeding=Breeding()),
        None,
    )
    now = 0.0
    busy: list[tuple[float, int, Trial[Any]]] = []
    while True:
        while len(busy) < _WORKERS and (ask := engine.ask()) is not None:
            assert isinstance(ask, Trial)
            busy.append((now + lognormal(chance), ask.number, ask))
        busy.sort(key=lambda one: one[:2])
        now, number, trial = busy.pop(0)
        score = float(sum(trial.candidate.genome))
        if score == BITS:
            return now
        engine.tell(number, Evaluation(scores=(score,)))


def bench_async(bed: Bed, seeds: int) -> dict[str, Any]:
    """8 workers, log-normal times (coefficient of variation 1), on a simulated clock."""
    steady = [simulated_s("steady", seed) for seed in range(seeds)]
    generational = [simulated_s("generational", seed) for seed in range(seeds)]
    chance = random.Random(1)
    rig = bed.rig(onemax, partial(lognormal, chance), workers=_WORKERS)
    run_id = bed.start(rig, _ONEMAX, 600, population=8)
    rig.run(run_id, until=lambda: rig.finished.get((run_id, "check"), 0) > 0)
    begun, busy = rig.elapsed_s, rig.busy_s
    row = rig.run(run_id)
    assert row.state == "done", row.error
    share = 100 * (rig.busy_s - busy) / ((rig.elapsed_s - begun) * _WORKERS)
    say("async: simulated clock; busy through the real flow and dispatch, speed of the engines alone")
    return {
        "async_busy_pct": round(share, 2),
        "async_vs_generational": round(statistics.median(generational) / statistics.median(steady), 3),
    }


def bench_kills(bed: Bed, seeds: int) -> dict[str, Any]:
    """Master and workers are killed at writes, before or after their commit, until 200 times it is."""
    chance = random.Random(seeds)
    evals, wanted, kills, divergences = 700, 200, 0, 0
    finished: Counter[tuple[str, str]] = Counter()
    rig = bed.rig(onemax, partial(lognormal, chance), workers=_WORKERS)
    run_id = bed.start(rig, _ONEMAX, evals, population=8)
    while rig.row(run_id).state == "running" and kills < wanted:
        countdown = iter([""] * chance.randrange(1, 20) + [chance.choice(("before", "after"))])
        try:
            with killing(bed.database, partial(next, countdown, "")):
                rig.run(run_id)
        except Killed:
            kills += 1
        finished.update(rig.finished)
        divergences += _diverges(bed, run_id, evals)
        rig = bed.rig(onemax, partial(lognormal, chance), workers=_WORKERS, now=rig.now)
        if kills % 50 == 0:
            say(f"kills: {kills}")
    row = rig.run(run_id)
    finished.update(rig.finished)
    divergences += _diverges(bed, run_id, evals) + (row.state != "done")
    repeated = sum(count - 1 for count in finished.values())
    say(f"kills: {repeated} steps were recorded twice; {row.result['cost']['evaluations']} of {evals}")
    return {"kills": kills, "kill_divergences": divergences + repeated}


def _diverges(bed: Bed, run_id: str, evals: int) -> int:
    """1 unless what is recorded, played back, is the engine that the run carries."""
    with bed.database.read() as connection:
        log = load_log(connection, run_id)
        campaign = load_carried(connection, run_id).get("campaign")
    if campaign is None:
        return int(bool(log))
    engine = make_engine(
        "steady",
        VectorVariation(Space(size=BITS, whole=True)),
        Rules(seed=0, budget=evals, population=8),
        None,
    )
    replay(engine, log, campaign["tally"]["asked_after"])
    return int(engine.snapshot() != campaign["engine"])


def bench_master(bed: Bed, seeds: int) -> dict[str, Any]:
    """Processor time of 2,000 evaluations: flow, publishing, claims and reports, one pass for each."""
    evals = 2000
    rig = bed.rig(onemax, workers=_WORKERS)
    run_id = bed.start(rig, _ONEMAX, evals, population=10)
    rig.run(run_id, until=lambda: rig.finished.get((run_id, "check"), 0) > 0)
    marks: list[float] = []
    flow_s = 0.0
    advance = rig.engine.advance

    def timed(run: str) -> None:
        nonlocal flow_s
        begun = time.process_time()
        advance(run)
        flow_s += time.process_time() - begun

    rig.engine.advance = timed  # type: ignore[method-assign]
    for part in range(4):
        begun = time.process_time()
        goal = (part + 1) * evals // 4
        rig.run(run_id, until=lambda goal=goal: len(rig.finished) > goal)  # type: ignore[misc]
        marks.append((time.process_time() - begun) / (evals / 4) * 1000)
        say(f"master: evaluations to {goal}: {marks[-1]:.2f} ms each")
    say(f"master: of which flow passes {flow_s / evals * 1000:.2f} ms, the rest publishing, claims, reports")
    return {"master_ms_per_eval": round(statistics.mean(marks), 3)}


def bench_cma(bed: Bed, seeds: int) -> dict[str, Any]:
    """Sphere-5 below 1e-8 within 100 generations of 20, as DEAP's test has it; and the library in this
    process, told the same, must have asked for the same vectors to the bit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it cannot plot
        import cma

    size, population = 5, 20
    rig = bed.rig(sphere, workers=4)
    run_id = bed.start(rig, _SPHERE, 100 * population, engine="cma", population=population)
    row = rig.run(run_id)
    assert row.state == "done", row.error
    best = -row.result["best"][0]["score"]
    request = darwin_propose.Request(
        size=size, low=-5, high=5, sigma=3.0, population=population, seed=1, losses=()
    )
    from worker.handlers.darwin_propose import options_of

    strategy = cma.CMAEvolutionStrategy([0.0] * size, request.sigma, options_of(request))
    theirs: list[list[float]] = []
    while not strategy.stop() and len(theirs) < 100 * population:
        vectors = strategy.ask()
        strategy.tell(vectors, [sphere(list(one))[0] for one in vectors])
        theirs += [[float(value) for value in one] for one in vectors]
    with bed.database.read() as connection:
        rows = connection.execute(
            select(candidates.c.genome).where(candidates.c.run_id == run_id).order_by(candidates.c.number)
        ).scalars()
        ours = [json.loads(one) for one in rows]
    say(f"cma: best {best:.3g} after {len(ours)} evaluations through the fleet, {len(theirs)} in process")
    return {"cma_sphere5_ok": best < 1e-8, "cma_identical": ours == theirs}


def bench_gepa(bed: Bed, seeds: int) -> dict[str, Any]:
    """GEPA in this process against GEPA through asks and tells, answered by 8 workers in an order of chance;
    and how much sooner 8 workers are done, on a simulated clock with log-normal times."""
    same = [_gepa_candidates(seed) for seed in range(max(1, seeds // 3))]
    ours_s = statistics.mean(ours for _, ours, _ in same)
    theirs_s = statistics.mean(theirs for _, _, theirs in same)
    say(f"gepa: {theirs_s:.0f} s of work done in {ours_s:.0f} s by {_WORKERS} workers (simulated clock)")
    return {"gepa_same_candidates": all(equal for equal, _, _ in same)}


class _AtHand:
    """Answers GEPA at once, and remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: dict[str, None] = {}

    def answer(self, texts: dict[str, str], example: int) -> tuple[float, str]:
        text = texts["instruction"]
        self.seen[text] = None
        score = min(1.0, len(text) / (200 + 70 * (example % 5)))
        return score, f"{example} was wrong" if score < 1 else ""

    def rewritten(self, texts: dict[str, str], mistakes: tuple[str, ...]) -> str:
        return f"{texts['instruction']} Mind {len(mistakes)}." if mistakes else texts["instruction"]


def _gepa_candidates(seed: int) -> tuple[bool, float, float]:
    """Whether both have the same candidates in the same order; seconds of the fleet, and of the work."""
    space = TextSpace(labels=("a", "b"), pool=tuple((at, "ab"[at % 2]) for at in range(8)))
    variation = TextVariation(space)
    blocks = tuple(tuple(range(at, at + 4)) for at in range(0, 32, 4))
    engine = make_engine("gepa", variation, Rules(seed=seed, budget=150, blocks=blocks), None)
    model, chance = _AtHand(), random.Random(seed)
    now, worked = 0.0, 0.0
    busy: list[tuple[float, int, Any]] = []
    while True:
        while len(busy) < _WORKERS and (ask := engine.ask()) is not None:
            seconds = lognormal(chance)
            worked += seconds
            busy.append((now + seconds, ask.number, ask))
        if not busy:
            break
        busy.sort(key=lambda one: one[:2])
        now, _, ask = busy.pop(0)
        _answer_gepa(engine, model, ask)
    theirs = _AtHand()
    first = {"instruction": variation.seeds(1, seed)[0].instruction}
    examples = [example for block in blocks for example in block]
    gepa_replay.run(theirs, first, examples, examples, seed=seed, most_metric_calls=2000)
    ours = list(engine.snapshot()["numbers"])
    return len(ours) > 2 and ours == list(theirs.seen)[: len(ours)], now, worked


def _answer_gepa(engine: Engine[Any], model: _AtHand, ask: Any) -> None:
    if isinstance(ask, Trial):
        text = {"instruction": ask.candidate.genome.instruction}
        known = [model.answer(text, at) for at in ask.examples]
        told = tuple(feedback for _, feedback in known if feedback)
        engine.tell(ask.number, Evaluation(scores=tuple(score for score, _ in known), feedback=told))
        return
    genome = dict(ask.request["genome"])
    texts = {"instruction": genome["instruction"]}
    genome["instruction"] = model.rewritten(texts, tuple(ask.request["feedback"]))
    engine.tell(ask.number, Proposed(genomes=(genome,)))


def bench_racing(bed: Bed, seeds: int) -> dict[str, Any]:
    from tests.bench.racing import measure

    return dict(measure())


PARTS: dict[str, Callable[[Bed, int], dict[str, Any]]] = {
    "onemax": bench_onemax,
    "zdt1": bench_zdt1,
    "cma": bench_cma,
    "gepa": bench_gepa,
    "async": bench_async,
    "kills": bench_kills,
    "master": bench_master,
    "racing": bench_racing,
}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", type=int, default=30)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    for name in options.parts:
        begun = time.monotonic()
        part = PARTS[name](Bed(), options.seeds)
        say(f"{name}: {json.dumps(part)} in {time.monotonic() - begun:.0f} s")
        found |= part
    print(json.dumps(found))


if __name__ == "__main__":
    main()

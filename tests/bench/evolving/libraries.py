"""Against DEAP and CMA-ES: the same problem through the fleet and through the library in this process."""

from __future__ import annotations

import json
import random
import statistics
import warnings
from typing import Any

from sqlalchemy import select

from master.darwin.engines.pareto import hypervolume2
from master.darwin.tables import candidates
from master.flows.runs import cancel_run
from tasks import darwin_propose
from tests.bench.evolving.bed import BITS, ONEMAX, SPHERE, WORKERS, ZDT1, Bed, onemax, say, sphere, zdt1


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

        rig = bed.rig(count, workers=WORKERS)
        run_id = bed.start(rig, ONEMAX, 5000, population=10, seed=seed)
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
        run_id = bed.start(rig, ZDT1, 1600, population=16, seed=seed)
        row = rig.run(run_id)
        assert row.state == "done", row.error
        front = [one["genome"] for one in row.result["best"]]
        points = [tuple(-value for value in zdt1(genome)) for genome in front]
        volumes.append(hypervolume2(points, (-11.0, -11.0)))
        say(f"zdt1 seed {seed}: hypervolume {volumes[-1]:.3f}")
    return {"zdt1_hypervolume": round(min(volumes), 4)}


def bench_cma(bed: Bed, seeds: int) -> dict[str, Any]:
    """Sphere-5 below 1e-8 within 100 generations of 20, as DEAP's test has it; and the library in this
    process, told the same, must have asked for the same vectors to the bit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it cannot plot
        import cma

    size, population = 5, 20
    rig = bed.rig(sphere, workers=4)
    run_id = bed.start(rig, SPHERE, 100 * population, engine="cma", population=population)
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

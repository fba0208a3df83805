"""What the fleet adds: workers that need not wait, kills that lose nothing, and what the master spends."""

from __future__ import annotations

import random
import statistics
import time
from collections import Counter
from functools import partial
from typing import Any

from master.darwin.engines.breed import Breeding
from master.darwin.engines.choose import make_engine
from master.darwin.engines.protocol import Engine, Evaluation, Trial
from master.darwin.engines.replay import replay
from master.darwin.engines.rules import Rules
from master.darwin.engines.vector import Space, VectorVariation
from master.darwin.records import load_log
from master.flows.carried import load_carried
from tests.bench.evolving.bed import BITS, ONEMAX, WORKERS, Bed, lognormal, onemax, say
from tests.rig import Killed, killing


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
        while len(busy) < WORKERS and (ask := engine.ask()) is not None:
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
    rig = bed.rig(onemax, partial(lognormal, chance), workers=WORKERS)
    run_id = bed.start(rig, ONEMAX, 600, population=8)
    rig.run(run_id, until=lambda: rig.finished.get((run_id, "check"), 0) > 0)
    begun, busy = rig.elapsed_s, rig.busy_s
    row = rig.run(run_id)
    assert row.state == "done", row.error
    share = 100 * (rig.busy_s - busy) / ((rig.elapsed_s - begun) * WORKERS)
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
    rig = bed.rig(onemax, partial(lognormal, chance), workers=WORKERS)
    run_id = bed.start(rig, ONEMAX, evals, population=8)
    while rig.row(run_id).state == "running" and kills < wanted:
        countdown = iter([""] * chance.randrange(1, 20) + [chance.choice(("before", "after"))])
        try:
            with killing(bed.database, partial(next, countdown, "")):
                rig.run(run_id)
        except Killed:
            kills += 1
        finished.update(rig.finished)
        divergences += _diverges(bed, run_id, evals)
        rig = bed.rig(onemax, partial(lognormal, chance), workers=WORKERS, now=rig.now)
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
    rig = bed.rig(onemax, workers=WORKERS)
    run_id = bed.start(rig, ONEMAX, evals, population=10)
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

"""What racing saves and what it costs, over synthetic tasks whose truth is known.

In each task genomes arrive one after another, as in an evolution, and the best is to be found. The
rival evaluates every genome on every example and takes the best mean. Regret is how much better, in
truth, the rival's choice is than that of racing; it may be negative in a single task.

An answer's worth is ``ability + difficulty + whim`` with normal difficulty (shared by all genomes)
and whim (of this genome and example); binary tasks ask whether it is above zero, graded ones take
its normal distribution function. Either way a genome's true score has a closed form.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import random
import statistics
import sys
import time

from master.darwin.racing import Rules, Verdict, displaced, judge, ranking, retest

TASKS = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    abilities: tuple[float, ...]
    #: [genome][example] -> score, 0..1.
    scores: tuple[tuple[float, ...], ...]
    block_size: int
    places: int
    #: True mean score of each genome.
    truths: tuple[float, ...]

    @property
    def blocks(self) -> int:
        return len(self.scores[0]) // self.block_size

    def block(self, genome: int, number: int) -> tuple[float, ...]:
        return self.scores[genome][number * self.block_size : (number + 1) * self.block_size]


def _normal(value: float) -> float:
    return 0.5 * math.erfc(-value / math.sqrt(2))


def make(number: int) -> Task:
    """The task of this number: 20-60 genomes, 5-12 blocks of 10-30 examples, close or far apart."""
    rng = random.Random(f"racing:{number}")
    genomes = rng.randint(20, 60)
    block_size, blocks = rng.choice((10, 15, 20, 30)), rng.randint(5, 12)
    examples = block_size * blocks
    middle, spread = rng.uniform(-0.8, 1.2), rng.uniform(0.03, 0.4)
    difficulty, whim = rng.uniform(0.5, 1.5), rng.uniform(0.4, 1.2)
    graded = rng.random() < 0.5
    steepness = rng.uniform(0.7, 2.0)
    abilities = tuple(rng.gauss(middle, spread) for _ in range(genomes))
    hard = [rng.gauss(0, difficulty) for _ in range(examples)]
    worth = [[ability + one + rng.gauss(0, whim) for one in hard] for ability in abilities]
    noise = difficulty**2 + whim**2
    if graded:
        scores = tuple(tuple(_normal(steepness * one) for one in row) for row in worth)
        truths = tuple(_normal(steepness * a / math.sqrt(1 + steepness**2 * noise)) for a in abilities)
    else:
        scores = tuple(tuple(float(one > 0) for one in row) for row in worth)
        truths = tuple(_normal(a / math.sqrt(noise)) for a in abilities)
    return Task(
        abilities=abilities,
        scores=scores,
        block_size=block_size,
        places=rng.randint(1, 6),
        truths=truths,
    )


def race(task: Task, alpha: float = 0.2) -> tuple[int, int]:
    """(the genome chosen, examples answered), genomes arriving one by one, as the steady-state engine
    races them."""
    rules = Rules(blocks=task.blocks, places=task.places, alpha=alpha)
    held: dict[str, dict[int, tuple[float, ...]]] = {}
    answered = 0
    for number in range(len(task.scores)):
        scores: dict[int, tuple[float, ...]] = {}
        decision = judge(scores, list(held.values()), rules, start=number)
        while decision.verdict is Verdict.GO_ON:
            assert decision.block is not None
            scores[decision.block] = task.block(number, decision.block)
            answered += 1
            decision = judge(scores, list(held.values()), rules, start=number)
        if decision.verdict is Verdict.ACCEPT:
            held[str(number)] = scores
            if (last := displaced(held, rules)) is not None:
                del held[last]
        if (wanted := retest(held, rules)) is not None:
            name, block = wanted
            held[name][block] = task.block(int(name), block)
            answered += 1
    return int(ranking(held)[0]), answered * task.block_size


def measure(tasks: int = TASKS, alpha: float = 0.2) -> dict[str, float]:
    """The two figures of the issue, over the tasks 0 ... ``tasks`` - 1."""
    saved: list[float] = []
    regret: list[float] = []
    missed: list[float] = []
    for number in range(tasks):
        task = make(number)
        chosen, answered = race(task, alpha)
        everything = len(task.scores) * len(task.scores[0])
        full = max(range(len(task.scores)), key=lambda one: math.fsum(task.scores[one]))
        saved.append(100 * (1 - answered / everything))
        regret.append(100 * (task.truths[full] - task.truths[chosen]))
        missed.append(100 * (max(task.truths) - task.truths[full]))
        if (number + 1) % 200 == 0:
            print(f"{number + 1} tasks: saved {statistics.mean(saved):.1f}%", file=sys.stderr)
    error = statistics.stdev(regret) / math.sqrt(tasks)
    print(
        f"regret {statistics.mean(regret):.3f} points (standard error {error:.3f}); the full evaluation's own "
        f"choice is {statistics.mean(missed):.3f} points below the truly best; saved from "
        f"{min(saved):.0f}% to {max(saved):.0f}%",
        file=sys.stderr,
    )
    return {
        "racing_saved_pct": round(statistics.mean(saved), 2),
        "racing_regret_points": round(statistics.mean(regret), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--alpha", type=float, default=0.2)
    options = parser.parse_args()
    began = time.monotonic()
    found = measure(options.tasks, options.alpha)
    print(f"{options.tasks} tasks in {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

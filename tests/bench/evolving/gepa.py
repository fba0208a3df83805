"""Against GEPA: the same candidates, sooner."""

from __future__ import annotations

import random
import statistics
from typing import Any

from master.darwin.engines import gepa_replay
from master.darwin.engines.choose import make_engine
from master.darwin.engines.protocol import Engine, Evaluation, Proposed, Trial
from master.darwin.engines.rules import Rules
from master.darwin.genome import Space as TextSpace
from master.darwin.variation import TextVariation
from tests.bench.evolving.bed import WORKERS, Bed, lognormal, say


def bench_gepa(bed: Bed, seeds: int) -> dict[str, Any]:
    """GEPA in this process against GEPA through asks and tells, answered by 8 workers in an order of chance;
    and how much sooner 8 workers are done, on a simulated clock with log-normal times."""
    all_same = True
    for proposals, budget in ((1, 150), (WORKERS, 400)):
        same = [_gepa_candidates(seed, proposals, budget) for seed in range(max(1, seeds // 3))]
        all_same = all_same and all(equal for equal, _, _ in same)
        ours_s = statistics.mean(ours for _, ours, _ in same)
        theirs_s = statistics.mean(theirs for _, _, theirs in same)
        say(
            f"gepa: {proposals} proposals a round: {theirs_s:.0f} s of work done in {ours_s:.0f} s by {WORKERS} "
            f"workers (simulated clock): {theirs_s / ours_s:.1f} times as fast"
        )
    return {"gepa_same_candidates": all_same}


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


def _gepa_candidates(seed: int, proposals: int, budget: int) -> tuple[bool, float, float]:
    """Whether both have the same candidates in the same order; seconds of the fleet, and of the work."""
    space = TextSpace(labels=("a", "b"), pool=tuple((at, "ab"[at % 2]) for at in range(8)))
    variation = TextVariation(space)
    blocks = tuple(tuple(range(at, at + 4)) for at in range(0, 32, 4))
    engine = make_engine(
        "gepa", variation, Rules(seed=seed, budget=budget, blocks=blocks, proposals=proposals), None
    )
    model, chance = _AtHand(), random.Random(seed)
    now, worked = 0.0, 0.0
    busy: list[tuple[float, int, Any]] = []
    while True:
        while len(busy) < WORKERS and (ask := engine.ask()) is not None:
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
    gepa_replay.run(
        theirs, first, examples, examples, seed=seed, most_metric_calls=16 * budget, proposals=proposals
    )
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

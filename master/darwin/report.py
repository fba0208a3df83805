"""What a finished evolution says of itself: its JSON result, and the same as a page to read. Pure."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

from master.darwin.chance import source
from master.darwin.engines.protocol import Standing
from master.darwin.heldout import Comparison, Estimate
from master.darwin.metrics import compare_held_out
from master.darwin.reading import Ancestor
from master.darwin.tally import Tally
from master.darwin.variation import TextVariation
from tasks.darwin_evaluate import Outcome
from tasks.darwin_genome import Corpus, Genome, Index
from tasks.darwin_metrics import MetricName
from tasks.darwin_prompt import prompt_for


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that a report is made of."""

    run: str
    name: str
    seed: int
    corpus: Corpus
    index: Index
    metric: MetricName
    model: str
    model_sha256: str
    best: Standing[Genome]
    best_seed: Standing[Genome]
    lineage: Sequence[Ancestor]
    #: Candidate -> mean score in selection.
    scores: dict[int, float]
    #: On the same held-out examples, in the same order.
    held_out_seed: Sequence[Outcome]
    held_out_best: Sequence[Outcome]
    tally: Tally
    ended: str

    @property
    def variation(self) -> TextVariation:
        from master.darwin.genome import space_of

        return TextVariation(space_of(self.corpus), self.corpus)


def compared(facts: Facts) -> Comparison:
    """Best seed and best of all on the held-out examples."""
    chance = source(facts.seed, "held-out comparison")
    return compare_held_out(facts.metric, facts.corpus, facts.held_out_seed, facts.held_out_best, chance)


def verdict(facts: Facts, found: Comparison) -> str:
    """One to three sentences that claim no more than the held-out comparison shows."""
    if facts.best.candidate.digest == facts.best_seed.candidate.digest:
        text = (
            "Not better: no child did better on the selection examples than the best seed, which scores "
            f"{found.seed.value:.1%} on {found.seed.examples} held-out examples."
        )
    else:
        text = found.text
    if facts.corpus.kind == "classify" and facts.metric == "accuracy":
        majority = _majority(facts)
        if found.best.value <= majority:
            text += f" Always giving the most common label would get {majority:.0%}."
    return text


def _majority(facts: Facts) -> float:
    labels = [facts.corpus.examples[one.example].expected for one in facts.held_out_best]
    return max(Counter(labels).values()) / len(labels)


def result(facts: Facts) -> dict[str, Any]:
    """The run's result: plain JSON, complete without its artifacts."""
    found = compared(facts)
    best, tally = facts.best.candidate, facts.tally
    return {
        "name": facts.name,
        "seed": facts.seed,
        "task": facts.corpus.kind,
        "metric": facts.metric,
        "labels": list(facts.corpus.labels),
        "verdict": {
            "better": found.better and best.digest != facts.best_seed.candidate.digest,
            "text": verdict(facts, found),
        },
        "held_out": {
            "examples": found.best.examples,
            "seed": _estimate(found.seed),
            "best": _estimate(found.best),
            "gain": round(found.gain, 4),
            "gain_low": round(found.gain_low, 4),
            "gain_high": round(found.gain_high, 4),
            "p_value": round(found.p_value, 6),
            "test": found.test,
            "only_best": found.only_best,
            "only_seed": found.only_seed,
        },
        "best": {
            "id": best.id,
            "digest": best.digest,
            "score": round(facts.best.score, 4),
            "genome": best.genome.model_dump(mode="json"),
            "prompt": readable_prompt(facts, best.genome),
        },
        "best_seed": {
            "id": facts.best_seed.candidate.id,
            "digest": facts.best_seed.candidate.digest,
            "score": round(facts.best_seed.score, 4),
        },
        "lineage": [_ancestor(facts, one) for one in facts.lineage],
        "cost": cost(tally),
        "ended": facts.ended,
        "model": {"reference": facts.model, "sha256": facts.model_sha256},
    }


def cost(tally: Tally) -> dict[str, Any]:
    """What the evolution took."""
    return {
        "evaluations": tally.told,
        "evaluated": tally.evaluated,
        "failed": tally.failed,
        "cached": tally.cached,
        "tokens": tally.tokens,
        "busy_s": round(tally.busy_s, 3),
        "micros": tally.micros,
    }


def readable_prompt(facts: Facts, genome: Genome) -> str:
    """The whole prompt as the model reads it, for the first selection example."""
    example = facts.corpus.ids("selection")[0]
    text = prompt_for(genome, facts.corpus, facts.index, example).text
    return f"{text} <one of: {' | '.join(genome.label_words)}>" if genome.label_words else text


def _estimate(one: Estimate) -> dict[str, Any]:
    return {
        "score": round(one.value, 4),
        "low": round(one.low, 4),
        "high": round(one.high, 4),
        "interval": one.method,
    }


def _ancestor(facts: Facts, one: Ancestor) -> dict[str, Any]:
    variation = facts.variation
    by_number = {other.number: other for other in facts.lineage}
    mother = by_number.get(one.parents[0]) if one.parents else None
    difference = ""
    if mother is not None:
        told = variation.describe_difference(variation.load(mother.genome), variation.load(one.genome))
        difference = "\n".join(line for line in told.splitlines() if line[:1] in "+-")
    score = facts.scores.get(one.number)
    return {
        "id": one.id,
        "parents": [f"c{parent}" for parent in one.parents],
        "operators": list(one.operators),
        "score": None if score is None else round(score, 4),
        "difference": difference,
    }


def markdown(facts: Facts, found: dict[str, Any]) -> str:
    """The report as a page. ``found`` is what ``result`` returned."""
    held_out, best, spent = found["held_out"], found["best"], found["cost"]
    lines = [
        f"# Evolution of {_inline(facts.name)}",
        "",
        found["verdict"]["text"],
        "",
        "![Score over evaluations](fitness.svg)",
        "",
        f"| on {held_out['examples']} held-out examples, {found['metric']} | score | 95% interval |",
        "| --- | --- | --- |",
        *(
            f"| {title} | {one['score']:.1%} | {one['low']:.1%} to {one['high']:.1%} ({one['interval']}) |"
            for title, one in (("best seed", held_out["seed"]), ("best genome", held_out["best"]))
        ),
        "",
        f"The gain is {held_out['gain']:+.1%} ({held_out['gain_low']:+.1%} to {held_out['gain_high']:+.1%}); "
        f"{held_out['test']} test, p = {held_out['p_value']:.2g}. Only the best did better on "
        f"{held_out['only_best']} examples, only the seed on {held_out['only_seed']}.",
        "",
        f"## The best genome, {best['id']}",
        "",
        *(f"    {line}" for line in best["prompt"].split("\n")),
        "",
        "## Where it comes from",
        "",
        *_lineage_lines(found),
        f"{spent['evaluations']} evaluations ({spent['failed']} failed, {spent['cached']} known already), "
        f"{spent['tokens']} tokens, {spent['busy_s']:.0f} s of workers' time; seed {found['seed']}; ended: "
        f"{found['ended']}. Model: {_inline(facts.model)}, sha256 {facts.model_sha256[:12]}.",
    ]
    return "\n".join(lines) + "\n"


def _lineage_lines(found: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for one in found["lineage"]:
        score = "" if one["score"] is None else f", scored {one['score']:.1%} in selection"
        origin = f" from {', '.join(one['parents'])}" if one["parents"] else ""
        lines += [f"- **{one['id']}** by {_inline(', '.join(one['operators']))}{origin}{score}"]
        lines += [f"      {line}" for line in one["difference"].splitlines()]
    return [*lines, ""]


def _inline(text: str) -> str:
    """Owner's text within one line of Markdown: nothing in it opens a cell, a tag or a new line."""
    flat = " ".join(text.split())
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")

"""What a finished run says of itself: its JSON result, and the same as a page to read. Pure."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from master.darwin.genome import Individual
from master.darwin.history import Fleet, Generation, HeldOut, History
from master.darwin.selection import Evaluation
from master.darwin.statistics import Paired, compare, wilson
from tasks.darwin_genome import Corpus, Index
from tasks.darwin_prompt import prompt_for

#: Chance may part two equal genomes this far once in twenty comparisons; less often counts as better.
SIGNIFICANT = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that a report is made of."""

    run: str
    name: str
    seed: int
    corpus: Corpus
    index: Index
    history: History
    held_out: HeldOut
    fleet: Fleet

    @property
    def majority(self) -> float:
        """Share of the held-out examples that the most common label alone would get right."""
        labels = [self.corpus.examples[one.example].label for one in self.held_out.best.outcomes]
        return max(Counter(labels).values()) / len(labels)

    @property
    def paired(self) -> Paired:
        """Best seed (first) against best of all (second) on the held-out examples."""
        return compare(self.held_out.seed.correct, self.held_out.best.correct)


def result(facts: Facts) -> dict[str, Any]:
    """The run's result: plain JSON, complete without its artifacts."""
    history, paired = facts.history, facts.paired
    best = history.best.individual
    return {
        "name": facts.name,
        "seed": facts.seed,
        "labels": list(facts.corpus.labels),
        "verdict": {"better": is_better(facts), "text": verdict(facts)},
        "held_out": {
            "examples": len(facts.held_out.best.outcomes),
            "seed": _proportion(facts.held_out.seed),
            "best": _proportion(facts.held_out.best),
            "majority_accuracy": round(facts.majority, 4),
            "only_seed_right": paired.first_only,
            "only_best_right": paired.second_only,
            "p_value": round(paired.p_value, 6),
        },
        "best": {
            "id": best.id,
            "digest": best.digest,
            "genome": best.genome.model_dump(mode="json"),
            "prompt": readable_prompt(facts, best),
        },
        "best_seed": {"id": history.best_seed.individual.id, "digest": history.best_seed.individual.digest},
        "lineage": [_ancestor(facts, one) for one in history.lineage(best)],
        "generations": [_generation(one) for one in history.generations],
        "cost": {
            "genomes": sum(one.evaluated for one in history.generations),
            "answers": sum(facts.fleet.models.values()),
            "prompt_tokens": facts.fleet.prompt_tokens,
            "model_seconds": facts.fleet.model_seconds,
        },
        "models": [
            {"model": model, "sha256": sha256, "dtype": dtype, "answers": answers}
            for (model, sha256, dtype), answers in sorted(facts.fleet.models.items())
        ],
    }


def is_better(facts: Facts) -> bool:
    """Whether the best genome beats the best seed on held-out examples by more than chance explains."""
    return facts.held_out.best.right > facts.held_out.seed.right and facts.paired.p_value < SIGNIFICANT


def verdict(facts: Facts) -> str:
    """One or two sentences that claim no more than the held-out comparison shows."""
    best, seed, paired = facts.held_out.best, facts.held_out.seed, facts.paired
    figures = (
        f"{best.right} of {len(best.outcomes)} held-out examples right ({best.accuracy:.0%}), the best seed "
        f"{seed.right} ({seed.accuracy:.0%}); p = {paired.p_value:.2g}"
    )
    if facts.history.best.individual.digest == facts.history.best_seed.individual.digest:
        text = (
            "Not better: no child did better on the selection examples than the best seed, which gets "
            f"{seed.right} of {len(seed.outcomes)} held-out examples right ({seed.accuracy:.0%})."
        )
    elif is_better(facts):
        text = f"Better: the best genome gets {figures}."
    elif best.right > seed.right:
        text = (
            f"Not shown to be better: the best genome gets {figures}, a difference that chance may explain."
        )
    else:
        text = f"Not better: the best genome gets {figures}. What it gained in selection did not carry over."
    if best.accuracy <= facts.majority:
        text += f" Always giving the most common label would get {facts.majority:.0%}."
    if len({(sha256, dtype) for _, sha256, dtype in facts.fleet.models}) > 1:
        text += (
            " Different models or number formats answered in this run, so small differences may be theirs."
        )
    return text


def readable_prompt(facts: Facts, individual: Individual) -> str:
    """The whole prompt as the model reads it, for the first selection example."""
    example = facts.corpus.ids("selection")[0]
    text = prompt_for(individual.genome, facts.corpus, facts.index, example).text
    return f"{text} <one of: {' | '.join(individual.genome.label_words)}>"


def _proportion(evaluation: Evaluation) -> dict[str, Any]:
    interval = wilson(evaluation.right, len(evaluation.outcomes))
    return {
        "right": evaluation.right,
        "accuracy": round(evaluation.accuracy, 4),
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
    }


def _generation(generation: Generation) -> dict[str, Any]:
    accuracies = generation.accuracies
    return {
        "generation": generation.number,
        "individuals": len(generation.individuals),
        "evaluated": generation.evaluated,
        "failed": generation.failed,
        "best": round(max(accuracies), 4),
        "mean": round(sum(accuracies) / len(accuracies), 4),
        "worst": round(min(accuracies), 4),
        "best_id": generation.ranked[0].individual.id,
    }


def _ancestor(facts: Facts, individual: Individual) -> dict[str, Any]:
    accuracy = next(
        one.evaluation.accuracy for one in facts.history.ranked if one.individual.id == individual.id
    )
    return {
        "id": individual.id,
        "generation": individual.generation,
        "parents": list(individual.parents),
        "operators": list(individual.operators),
        "accuracy": round(accuracy, 4),
    }


def markdown(facts: Facts, found: dict[str, Any]) -> str:
    """The report as a page. ``found`` is what ``result`` returned."""
    held_out, best = found["held_out"], found["best"]
    lines = [
        f"# Evolution of {_inline(facts.name)}",
        "",
        found["verdict"]["text"],
        "",
        "![Accuracy by generation, and the held-out comparison](fitness.svg)",
        "",
        "| on held-out examples | right | accuracy | 95% interval |",
        "| --- | --- | --- | --- |",
        *(
            f"| {title} | {one['right']} of {held_out['examples']} | {one['accuracy']:.1%} "
            f"| {one['low']:.1%} to {one['high']:.1%} |"
            for title, one in (("best seed", held_out["seed"]), ("best genome", held_out["best"]))
        ),
        "",
        f"Only the best genome was right on {held_out['only_best_right']} examples, only the seed on "
        f"{held_out['only_seed_right']} (exact McNemar test, p = {held_out['p_value']:.2g}).",
        "",
        f"## The best genome, {best['id']}",
        "",
        *(f"    {line}" for line in best["prompt"].split("\n")),
        "",
        *_gene_lines(facts),
        "",
        "## Generations",
        "",
        *_table(("generation", "evaluated", "failed", "best", "mean", "worst"), _generation_rows(found)),
        "",
        "## Where it comes from",
        "",
        *_table(("id", "made by", "from", "accuracy in selection"), _lineage_rows(found)),
        "",
        *_cost_lines(found),
    ]
    return "\n".join(lines) + "\n"


def _gene_lines(facts: Facts) -> list[str]:
    genome = facts.history.best.individual.genome
    shown, scoring = genome.demonstrations, genome.scoring
    return [
        f"- demonstrations: {len(shown.fixed)} fixed, {shown.retrieved} retrieved "
        f"({shown.order.replace('_', ' ')})",
        f"- scoring: {'per token' if scoring.length_normalized else 'whole phrase'}, "
        f"calibration {scoring.calibration:g}, temperature {scoring.temperature:g}",
        f"- chat template: {'yes' if genome.chat else 'no'}",
    ]


def _generation_rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            str(one["generation"]),
            str(one["evaluated"]),
            str(len(one["failed"])),
            *(f"{one[key]:.1%}" for key in ("best", "mean", "worst")),
        )
        for one in found["generations"]
    ]


def _lineage_rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (one["id"], ", ".join(one["operators"]), ", ".join(one["parents"]) or "-", f"{one['accuracy']:.1%}")
        for one in found["lineage"]
    ]


def _cost_lines(found: dict[str, Any]) -> list[str]:
    cost = found["cost"]
    return [
        f"{cost['genomes']} genomes, {cost['answers']} answers, {cost['prompt_tokens']} prompt tokens, "
        f"{cost['model_seconds']:.0f} s of model time; seed {found['seed']}.",
        "",
        *(
            f"- {one['model']} ({one['dtype']}, sha256 {one['sha256'][:12]}): {one['answers']} answers"
            for one in found["models"]
        ),
    ]


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return [
        f"| {' | '.join(header)} |",
        f"|{' --- |' * len(header)}",
        *(f"| {' | '.join(_inline(cell) for cell in row)} |" for row in rows),
    ]


def _inline(text: str) -> str:
    """Owner's text within one line of Markdown: nothing in it opens a cell, a tag or a new line."""
    flat = " ".join(text.split())
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")

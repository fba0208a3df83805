"""Which metric a run goes by, and what its outcomes say by it. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence

from master.darwin.heldout import Comparison, compare_scores, compare_sets
from tasks.darwin_evaluate import Outcome
from tasks.darwin_genome import Corpus, Kind
from tasks.darwin_metrics import METRICS, MetricName, macro_f1
from tasks.errors import InvalidInput


def metric_name(wanted: str, kind: Kind) -> MetricName:
    """The metric of this name, or the usual one for "". The owner's own function is "own"."""
    names = METRICS[kind]
    if not wanted:
        return names[0]
    for name in names:
        if name == wanted.replace("-", "_"):
            return name
    others = [one for one, fitting in METRICS.items() if wanted.replace("-", "_") in fitting]
    fits = f"it is for the task {' or '.join(others)}" if others else "there is none of that name"
    raise InvalidInput(
        f"the metric {wanted!r} cannot be used for the task {kind}: {fits}. Use {', '.join(names[:-1])}, or a "
        "Python file of your own with a function metric(expected, answer)"
    )


def compare_held_out(
    metric: MetricName,
    corpus: Corpus,
    seed: Sequence[Outcome],
    best: Sequence[Outcome],
    chance: random.Random,
) -> Comparison:
    """Best seed against best of all on the examples that both have answered; one that only one of them
    answered says nothing about the other. ``ValueError`` if there are none."""
    by_example = {one.example: one for one in best}
    both = [(one, by_example[one.example]) for one in seed if one.example in by_example]
    ours, theirs = [one for one, _ in both], [other for _, other in both]
    if metric == "macro_f1":
        return compare_sets(_pairs(corpus, ours), _pairs(corpus, theirs), macro_f1, chance)
    return compare_scores([one.score for one in ours], [one.score for one in theirs], chance)


def _pairs(corpus: Corpus, outcomes: Sequence[Outcome]) -> list[tuple[str, str]]:
    return [(corpus.examples[one.example].expected, one.answer) for one in outcomes]

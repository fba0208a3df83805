"""Handler of ``darwin.evaluate``: a genome's answers to a shard of examples, and their scores."""

from __future__ import annotations

import functools

from tasks.darwin_evaluate import Failure, Outcome, Request, Result
from tasks.darwin_genome import Corpus, Index
from tasks.darwin_metrics import METRICS
from tasks.errors import PermanentFailure, TransientFailure
from worker.handlers.context import Context
from worker.handlers.darwin_asking import Answer, Shard
from worker.handlers.darwin_choice import choose_labels
from worker.handlers.darwin_scores import score_answers
from worker.handlers.darwin_text import generate_texts


def handle(request: Request, context: Context) -> Result:
    """Each example comes back as an outcome or as a failure of its own. ``TransientFailure`` when none
    was answered and asking again may help: then the step as a whole is tried again."""
    corpus = _corpus(context.read_artifact(request.corpus))
    index = _index(context.read_artifact(request.index))
    _check(request, corpus, index)
    models = context.models
    before = models.usage
    shard = Shard(request=request, corpus=corpus, index=index)
    found = (choose_labels if corpus.kind == "classify" else generate_texts)(shard, context)
    answers = [one for one in found if isinstance(one, Answer)]
    failures = [one for one in found if isinstance(one, Failure)]
    scored = score_answers(request.metric, corpus, answers, context) if answers else []
    outcomes = [one for one in scored if isinstance(one, Outcome)]
    failures += [one for one in scored if isinstance(one, Failure)]
    if not outcomes and all(one.transient for one in failures):
        raise TransientFailure(f"not one of {len(failures)} examples was answered: {failures[0].error}")
    after, about = models.usage, models.describe(request.model)
    return Result(
        outcomes=tuple(outcomes),
        failures=tuple(failures),
        prompt_tokens=after.prompt_tokens - before.prompt_tokens,
        generated_tokens=after.generated_tokens - before.generated_tokens,
        seconds=round(after.seconds - before.seconds, 3),
        cost_micros=after.cost_micros - before.cost_micros,
        model=about.get("model", request.model),
        model_sha256=about.get("sha256", ""),
        dtype=about.get("dtype", ""),
        seed=request.seed,
    )


# A worker's child answers many shards of the same run: reading a large data set is done once.
@functools.lru_cache(maxsize=2)
def _corpus(data: bytes) -> Corpus:
    return Corpus.model_validate_json(data)


@functools.lru_cache(maxsize=2)
def _index(data: bytes) -> Index:
    return Index.model_validate_json(data)


def _check(request: Request, corpus: Corpus, index: Index) -> None:
    total = len(corpus.examples)
    named = (*request.examples, *request.genome.demonstrations.fixed)
    if unknown := [at for at in named if not 0 <= at < total]:
        raise PermanentFailure(f"examples {unknown} do not exist: the corpus has {total}, numbered from 0")
    if corpus.kind == "classify" and len(request.genome.label_words) != len(corpus.labels):
        raise PermanentFailure(
            f"the genome has {len(request.genome.label_words)} label words and the corpus "
            f"{len(corpus.labels)} labels: the genome was bred for another corpus"
        )
    if len(index.neighbors) != total:
        raise PermanentFailure(
            f"the index lists neighbors of {len(index.neighbors)} examples and the corpus has {total}: "
            "the index was made for another corpus"
        )
    if request.metric.name not in METRICS[corpus.kind]:
        raise PermanentFailure(
            f"the metric {request.metric.name!r} does not fit the task {corpus.kind!r}: "
            f"use {', '.join(METRICS[corpus.kind])}"
        )

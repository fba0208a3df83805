"""Answering with a label: the one whose word the model finds most likely."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tasks.darwin_evaluate import Failure
from tasks.darwin_genome import Corpus, Scoring
from tasks.darwin_prompt import Prompt, content_free, continuation, prompt_for
from tasks.errors import PermanentFailure
from worker.handlers.context import Context
from worker.handlers.darwin_asking import BATCH, Answer, Frame, Shard, frame_of
from worker.models.protocol import Models, Scored, ScoreItem

_WORST_LOSS = 20.0


def choose_labels(shard: Shard, context: Context) -> list[Answer | Failure]:
    """Per example of the request, in its order."""
    request, corpus, models = shard.request, shard.corpus, context.models
    frame = frame_of(shard, models)
    items = [
        _item(shard, frame, prompt_for(request.genome, corpus, shard.index, at)) for at in request.examples
    ]
    scored: list[Scored | PermanentFailure] = []
    for start in range(0, len(items), BATCH):
        scored.extend(_score_each(models, request.model, items[start : start + BATCH]))
        context.progress(len(scored) / len(items), f"{len(scored)} of {len(items)} examples")
    leaning = [0.0] * len(corpus.labels)
    if request.genome.scoring.calibration > 0:
        asked = [_item(shard, frame, content_free(request.genome, corpus))]
        leaning = label_scores(models.score(request.model, asked)[0], request.genome.scoring)
    return [
        Failure(example=example, error=str(one)[:4000], transient=False)
        if isinstance(one, PermanentFailure)
        else judge(
            example,
            label_scores(one, request.genome.scoring),
            leaning,
            corpus,
            request.genome.scoring,
            len(item.prompt),
        )
        for example, one, item in zip(request.examples, scored, items, strict=True)
    ]


def _score_each(models: Models, model: str, items: Sequence[ScoreItem]) -> list[Scored | PermanentFailure]:
    """Together, or where one cannot be scored, each by itself."""
    try:
        return list(models.score(model, items))
    except PermanentFailure as error:
        if len(items) == 1:
            return [error]
        return [one for item in items for one in _score_each(models, model, [item])]


def _item(shard: Shard, frame: Frame, prompt: Prompt) -> ScoreItem:
    genome = shard.request.genome
    choices = tuple(continuation(genome, word) for word in genome.label_words)
    return ScoreItem(prompt=frame.around(prompt), choices=choices)


def label_scores(answer: Scored, scoring: Scoring) -> list[float]:
    """Log-probability of each label word, per token if the genome says so (nats)."""
    if not scoring.length_normalized:
        return list(answer.logprobs)
    return [logprob / max(1, tokens) for logprob, tokens in zip(answer.logprobs, answer.tokens, strict=True)]


def probabilities(scores: Sequence[float], leaning: Sequence[float], scoring: Scoring) -> list[float]:
    """Softmax of ``(score - calibration * leaning) / temperature`` over the labels."""
    scaled = [
        (score - scoring.calibration * lean) / scoring.temperature
        for score, lean in zip(scores, leaning, strict=True)
    ]
    top = max(scaled)
    weights = [math.exp(value - top) for value in scaled]
    total = sum(weights)
    return [weight / total for weight in weights]


def judge(
    example: int,
    scores: Sequence[float],
    leaning: Sequence[float],
    corpus: Corpus,
    scoring: Scoring,
    prompt_characters: int,
) -> Answer:
    """The likeliest label, with the probabilities given to it and to the expected one."""
    chances = probabilities(scores, leaning, scoring)
    chosen = max(range(len(chances)), key=chances.__getitem__)
    expected = corpus.labels.index(corpus.examples[example].expected)
    loss = -math.log(max(chances[expected], math.exp(-_WORST_LOSS)))
    return Answer(
        example=example,
        text=corpus.labels[chosen],
        confidence=round(chances[chosen], 6),
        loss=round(max(0.0, loss), 6),
        prompt_characters=prompt_characters,
    )

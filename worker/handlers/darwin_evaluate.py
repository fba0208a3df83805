"""Handler of ``darwin.evaluate``: the label whose word the model finds most likely."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tasks.darwin_evaluate import Outcome, Request, Result
from tasks.darwin_genome import Corpus, Genome, Index, Scoring
from tasks.darwin_prompt import Prompt, content_free, continuation, head, prompt_for
from tasks.errors import PermanentFailure
from worker.handlers.context import Context
from worker.models.protocol import Models, Scored, ScoreItem

#: Prompts per call to the model server: a full batch, with a chance to stop between two.
_BATCH = 32
#: Stands for the question while the chat template is laid around it.
_SLOT = "\u2982question\u2982"
_WORST_LOSS = 20.0


def handle(request: Request, context: Context) -> Result:
    corpus = Corpus.model_validate_json(context.read_artifact(request.corpus))
    index = Index.model_validate_json(context.read_artifact(request.index))
    _check(request, corpus, index)
    genome, models = request.genome, context.models
    before = models.usage
    frame = _frame(genome, request.model, models)
    scores = _score_all(request, corpus, index, frame, context)
    leaning = [0.0] * len(corpus.labels)
    if genome.scoring.calibration > 0:
        asked = [_item(genome, frame, content_free(genome, corpus))]
        leaning = label_scores(models.score(request.model, asked)[0], genome.scoring)
    outcomes = tuple(
        judge(example, score, leaning, corpus, genome.scoring)
        for example, score in zip(request.examples, scores, strict=True)
    )
    after, about = models.usage, models.describe(request.model)
    return Result(
        outcomes=outcomes,
        prompt_tokens=after.prompt_tokens - before.prompt_tokens,
        seconds=round(after.seconds - before.seconds, 3),
        model=about.get("model", request.model),
        model_sha256=about.get("sha256", ""),
        dtype=about.get("dtype", ""),
    )


def _check(request: Request, corpus: Corpus, index: Index) -> None:
    total = len(corpus.examples)
    named = (*request.examples, *request.genome.demonstrations.fixed)
    if unknown := [at for at in named if not 0 <= at < total]:
        raise PermanentFailure(f"examples {unknown} do not exist: the corpus has {total}, numbered from 0")
    if len(request.genome.label_words) != len(corpus.labels):
        raise PermanentFailure(
            f"the genome has {len(request.genome.label_words)} label words and the corpus "
            f"{len(corpus.labels)} labels: the genome was bred for another corpus"
        )
    if len(index.neighbors) != total:
        raise PermanentFailure(
            f"the index lists neighbors of {len(index.neighbors)} examples and the corpus has {total}: "
            "the index was made for another corpus"
        )


def _frame(genome: Genome, model: str, models: Models) -> tuple[str, str]:
    """What stands before and after the demonstrations and the question; rendered once per shard."""
    if not genome.chat:
        return head(genome), ""
    system = head(genome).strip()
    messages = [("system", system)] if system else []
    before, slot, after = models.chat_prompt(model, [*messages, ("user", _SLOT)]).partition(_SLOT)
    if not slot:
        raise PermanentFailure(f"the chat template of model {model!r} drops or changes the user's message")
    return before, after


def _item(genome: Genome, frame: tuple[str, str], prompt: Prompt) -> ScoreItem:
    before, after = frame
    choices = tuple(continuation(genome, word) for word in genome.label_words)
    return ScoreItem(prompt=before + prompt.shared + prompt.own + after, choices=choices)


def _score_all(
    request: Request, corpus: Corpus, index: Index, frame: tuple[str, str], context: Context
) -> list[list[float]]:
    """Per example of the request, one score per label."""
    items = [
        _item(request.genome, frame, prompt_for(request.genome, corpus, index, example))
        for example in request.examples
    ]
    scores: list[list[float]] = []
    for start in range(0, len(items), _BATCH):
        answers = context.models.score(request.model, items[start : start + _BATCH])
        scores.extend(label_scores(answer, request.genome.scoring) for answer in answers)
        context.progress(len(scores) / len(items), f"{len(scores)} of {len(items)} examples")
    return scores


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
    example: int, scores: Sequence[float], leaning: Sequence[float], corpus: Corpus, scoring: Scoring
) -> Outcome:
    chances = probabilities(scores, leaning, scoring)
    chosen = max(range(len(chances)), key=chances.__getitem__)
    expected = corpus.labels.index(corpus.examples[example].label)
    loss = -math.log(max(chances[expected], math.exp(-_WORST_LOSS)))
    return Outcome(
        example=example,
        predicted=corpus.labels[chosen],
        correct=chosen == expected,
        confidence=round(chances[chosen], 6),
        loss=round(max(0.0, loss), 6),
    )

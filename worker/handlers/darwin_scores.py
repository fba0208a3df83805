"""From answers to scores: by a built-in metric, by a sentence model, or by the owner's own function."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.darwin_evaluate import Failure, Outcome
from tasks.darwin_genome import Corpus
from tasks.darwin_metrics import Metric, score_answer, similarity
from worker.handlers.context import Context
from worker.handlers.darwin_asking import Answer
from worker.handlers.darwin_own import run_own
from worker.models.reference import DEFAULT_EMBEDDING_MODEL

Scores = list[float | str]


def score_answers(
    metric: Metric, corpus: Corpus, answers: Sequence[Answer], context: Context
) -> list[Outcome | Failure]:
    """In the order of the answers. One that the owner's function fails on is a failure, never a zero."""
    if metric.name == "similarity":
        scores = _similarities(metric, corpus, answers, context)
    elif metric.name == "own":
        scores = run_own(metric, corpus, [(one.example, one.text) for one in answers], context)
    else:
        scores = [
            score_answer(metric.name, corpus, corpus.examples[one.example], one.text) for one in answers
        ]
    return [_outcome(one, score) for one, score in zip(answers, scores, strict=True)]


def _outcome(one: Answer, score: float | str) -> Outcome | Failure:
    if isinstance(score, str):
        return Failure(example=one.example, error=score[:4000], transient=False)
    return Outcome(
        example=one.example,
        answer=one.text,
        score=score,
        confidence=one.confidence,
        loss=one.loss,
        prompt_characters=one.prompt_characters,
        generated_tokens=one.generated_tokens,
    )


def _similarities(metric: Metric, corpus: Corpus, answers: Sequence[Answer], context: Context) -> Scores:
    """Cosine to the nearest of the right answers; an empty answer resembles nothing."""
    wanted = [(corpus.examples[one.example].expected, *corpus.examples[one.example].also) for one in answers]
    texts = list(dict.fromkeys(text for one in wanted for text in one))
    texts += list(dict.fromkeys(one.text for one in answers if one.text and one.text not in texts))
    vectors = context.models.embed(metric.embedding_model or DEFAULT_EMBEDDING_MODEL, texts)
    by_text = dict(zip(texts, vectors, strict=True))
    return [
        max(similarity(by_text[text], by_text[one.text]) for text in right) if one.text else 0.0
        for one, right in zip(answers, wanted, strict=True)
    ]

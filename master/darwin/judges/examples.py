"""Candidates judged by examples: a step is a shard of one candidate's, so that the model server can batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from master.darwin.answers import Answer
from master.darwin.engines.protocol import Proposed, Trial, Wish
from master.darwin.judging import Answered, Question
from master.darwin.reflection import feedback, reflection, rewritten
from master.darwin.tally import Cost
from master.darwin.variation import TextVariation
from master.flows import FlowContext, Handle
from tasks import darwin_evaluate, darwin_reflect
from tasks.darwin_evaluate import Outcome, Request, Result
from tasks.darwin_genome import Corpus, Genome
from tasks.darwin_metrics import Metric
from tasks.errors import InvalidInput
from tasks.needs import Needs

#: Characters of a prompt that are reckoned as one token: what a prompt really cost depends on what the
#: model server had kept of it, which is not the genome's merit.
_CHARACTERS_PER_TOKEN = 4


class ExamplesJudge:
    """``master.darwin.judging.Judge``."""

    lot = 1

    def __init__(
        self,
        *,
        corpus: Corpus,
        corpus_sha256: str,
        index_sha256: str,
        model: str,
        model_sha256: str,
        metric: Metric,
        seed: int,
        learns: bool,
    ) -> None:
        self._corpus = corpus
        self._corpus_sha256 = corpus_sha256
        self._index_sha256 = index_sha256
        self._model = model
        self._model_sha256 = model_sha256
        self._metric = metric
        self._seed = seed
        #: Whether somebody reflects on mistakes: then they are kept.
        self._learns = learns
        self._weights = _label_weights(corpus) if metric.name == "macro_f1" else {}

    def request(self, genome: Genome, examples: Sequence[int]) -> Request:
        """What asks a genome these examples."""
        return Request(
            genome=genome,
            corpus=self._corpus_sha256,
            index=self._index_sha256,
            examples=tuple(examples),
            model=self._model,
            metric=self._metric,
            seed=self._seed,
        )

    @property
    def needs(self) -> Needs:
        """Somebody who holds the model goes first; an own metric needs its executor."""
        executor = "docker" if self._metric.source and not self._metric.trusted else ""
        return Needs(model=self._model, executor=executor)

    def key(self, trial: Trial[Genome], example: int) -> str:
        if not self._model_sha256:
            return ""
        request = self.request(trial.candidate.genome, (example,))
        return darwin_evaluate.cache_key(request, example, self._model_sha256)

    def start(self, ctx: FlowContext, key: str, lot: Sequence[Question[Genome]]) -> Handle[Result]:
        (question,) = lot
        request = self.request(question.trial.candidate.genome, question.examples)
        return ctx.start(key, darwin_evaluate.TASK, request, needs=self.needs)

    def recall(self, ctx: FlowContext, key: str) -> Handle[Result]:
        return ctx.recall(key, darwin_evaluate.TASK)

    def read(self, handle: Handle[Result], lot: Sequence[Question[Genome]]) -> tuple[list[Answered], Cost]:
        result = handle.result()
        share = result.seconds / max(1, len(result.outcomes))
        answered = Answered(
            answers={one.example: self._answer(one, share) for one in result.outcomes},
            failures={one.example: one.error for one in result.failures},
            transient=bool(result.failures) and all(one.transient for one in result.failures),
        )
        # A shard that was answered by another model than the evolution began with is no part of it.
        if self._model_sha256 and result.model_sha256 != self._model_sha256:
            error = (
                f"it was answered by the model {result.model_sha256[:12]} and this evolution began with "
                f"{self._model_sha256[:12]}: give all workers the same D8_MODEL"
            )
            answered = Answered(answers={}, failures=dict.fromkeys(lot[0].examples, error), transient=True)
        return [answered], Cost(micros=result.cost_micros, seconds=result.seconds)

    def _answer(self, outcome: Outcome, seconds: float) -> Answer:
        example = self._corpus.examples[outcome.example]
        return Answer(
            score=outcome.score * self._weights.get(example.expected, 1.0),
            tokens=outcome.generated_tokens + -(-outcome.prompt_characters // _CHARACTERS_PER_TOKEN),
            seconds=seconds,
            feedback=feedback(example, outcome) if self._learns else "",
        )


def _label_weights(corpus: Corpus) -> dict[str, float]:
    """What an example of each label counts, so that each label counts alike: macro-F1 in parts."""
    labels = Counter(corpus.examples[at].expected for at in corpus.ids("selection"))
    return {label: labels.total() / (len(labels) * count) for label, count in labels.items()}


class Critic:
    """``master.darwin.judging.Proposer``: a capable model rewrites an instruction."""

    def __init__(self, *, variation: TextVariation, model: str, seed: int) -> None:
        self._variation = variation
        self._model = model
        self._seed = seed

    def start(self, ctx: FlowContext, key: str, wish: Wish) -> Handle[Any]:
        request = self._request(wish.request, wish.number)
        return ctx.start(key, darwin_reflect.TASK, request, needs=Needs(model=self._model))

    def _request(self, told: Mapping[str, Any], number: int) -> darwin_reflect.Request:
        genome = self._variation.load(told["genome"])
        seed = (self._seed + number) % 2**31
        return reflection(genome, told["feedback"], self._variation.space, self._model, seed)

    def recall(self, ctx: FlowContext, key: str) -> Handle[Any]:
        return ctx.recall(key, darwin_reflect.TASK)

    def read(self, handle: Handle[Any], wish: Wish) -> tuple[Proposed, Cost]:
        result: darwin_reflect.Result = handle.result()
        cost = Cost(micros=result.cost_micros, seconds=result.seconds)
        try:
            genome = rewritten(
                result.text, self._variation.load(wish.request["genome"]), self._variation.corpus
            )
        except InvalidInput as error:
            return Proposed(genomes=(), note={"refused": str(error)}), cost
        return Proposed(genomes=(self._variation.dump(genome),)), cost

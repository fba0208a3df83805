"""Where genomes are evaluated: a population's shards go out together and come back as evaluations.

A genome is evaluated once per run, whoever carries it. One whose step fails for good is marked
failed with the reason and takes no part in selection: it is never scored zero, for a broken
machine says nothing about a prompt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from master.darwin.genome import Individual
from master.darwin.history import Fleet, Generation
from master.darwin.selection import Evaluation, Ranked, rank
from master.flows import FlowContext, Handle
from tasks import darwin_evaluate
from tasks.darwin_evaluate import Result
from tasks.errors import D8Error

Handles = Sequence[Handle[Result]]


class Arena:
    """The evaluations of one pass. Built anew in every pass from recorded steps."""

    def __init__(self, *, ctx: FlowContext, corpus: str, index: str, model: str, shard: int) -> None:
        self._ctx = ctx
        self._corpus = corpus
        self._index = index
        self._model = model
        self._shard = shard
        self._evaluations: dict[str, Evaluation] = {}
        self._failures: dict[str, str] = {}
        self._results: list[Result] = []

    @property
    def tried(self) -> set[str]:
        """Digests of the genomes that were evaluated or failed."""
        return {*self._evaluations, *self._failures}

    def start(self, individual: Individual, examples: Sequence[int], purpose: str) -> Handles:
        """Ask for the individual's shards without waiting."""
        return [
            self._ctx.start(
                f"{purpose}:{individual.id}:s{number}",
                darwin_evaluate.TASK,
                darwin_evaluate.Request(
                    genome=individual.genome,
                    corpus=self._corpus,
                    index=self._index,
                    examples=shard,
                    model=self._model,
                ),
            )
            for number, shard in enumerate(shards(examples, self._shard))
        ]

    def collect(self, handles: Handles, examples: Sequence[int]) -> Evaluation:
        """The evaluation that these shards add up to; ends the pass or raises ``StepFailed``."""
        results = self._ctx.gather(handles)
        outcomes = [outcome for one in results for outcome in one.outcomes]
        answered = [outcome.example for outcome in outcomes]
        if answered != list(examples):
            raise D8Error(
                f"the shards {[handle.key for handle in handles]} answer examples {answered} and were asked "
                f"{list(examples)}: a worker runs code that does not fit this contract; compare builds with "
                "'d8 worker list'"
            )
        self._results.extend(results)
        return Evaluation(
            outcomes=tuple(outcomes),
            prompt_tokens=sum(one.prompt_tokens for one in results),
            seconds=sum(one.seconds for one in results),
        )

    def evaluate_generation(
        self,
        number: int,
        population: Sequence[Individual],
        examples: Sequence[int],
        fraction: float,
        standing: str,
    ) -> Generation:
        """The whole population on the same examples. Ends the pass until every shard is terminal.

        ``fraction`` is how far the run is when this generation begins, 0..1.
        """
        new = {one.digest: one for one in reversed(population) if one.digest not in self.tried}
        started = {digest: self.start(one, examples, "evaluate") for digest, one in reversed(new.items())}
        self._ctx.progress(fraction, f"generation {number}: {len(started)} new genomes; {standing}")
        handles = [handle for own in started.values() for handle in own]
        self._ctx.settle(handles)
        for digest, own in started.items():
            if broken := [handle for handle in own if handle.failed]:
                self._failures[digest] = broken[0].error
            else:
                self._evaluations[digest] = self.collect(own, examples)
        return self._generation(
            number, population, evaluated=sum(one in self._evaluations for one in started)
        )

    def _generation(self, number: int, population: Sequence[Individual], evaluated: int) -> Generation:
        ranked = rank(
            Ranked(individual=one, evaluation=self._evaluations[one.digest])
            for one in population
            if one.digest in self._evaluations
        )
        failed = {one.id: self._failures[one.digest] for one in population if one.digest in self._failures}
        return Generation(
            number=number,
            individuals=tuple(population),
            ranked=tuple(ranked),
            evaluated=evaluated,
            failed=failed,
        )

    def fleet(self) -> Fleet:
        """What answered so far."""
        models: dict[tuple[str, str, str], int] = {}
        for one in self._results:
            key = (one.model, one.model_sha256, one.dtype)
            models[key] = models.get(key, 0) + len(one.outcomes)
        return Fleet(
            prompt_tokens=sum(one.prompt_tokens for one in self._results),
            model_seconds=round(sum(one.seconds for one in self._results), 3),
            models=models,
        )


def shards(examples: Sequence[int], size: int) -> list[tuple[int, ...]]:
    """The examples in as few shards of at most ``size`` as possible, as even as possible."""
    count = math.ceil(len(examples) / size)
    return [
        tuple(examples[len(examples) * at // count : len(examples) * (at + 1) // count])
        for at in range(count)
    ]

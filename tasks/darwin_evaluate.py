"""``darwin.evaluate``: one genome answers a shard of examples."""

from __future__ import annotations

import hashlib
import json

from pydantic import Field

from tasks.darwin_genome import Genome, digest
from tasks.darwin_metrics import Metric
from tasks.record import Record
from tasks.spec import TaskSpec


class Request(Record):
    genome: Genome
    #: sha256 of the ``Corpus`` artifact; workers keep it, so a shard costs its ids and no more.
    corpus: str = Field(min_length=64, max_length=64)
    #: sha256 of the ``Index`` artifact.
    index: str = Field(min_length=64, max_length=64)
    #: Ids of the examples to answer.
    examples: tuple[int, ...] = Field(min_length=1, max_length=512)
    #: Model reference; "" means the worker's default.
    model: str = ""
    metric: Metric = Metric()
    #: Sampling seed: with the same one the same genome gives the same answer to an example.
    seed: int = Field(default=0, ge=0, le=2**31 - 1)


class Outcome(Record):
    """What became of one example that was answered."""

    example: int
    #: The label, or the text as the model gave it.
    answer: str = Field(max_length=20_000)
    #: By the request's metric; 1 is right.
    score: float = Field(ge=0, le=1)
    #: "classify" only: probability given to the answer, 0..1.
    confidence: float = Field(default=0.0, ge=0, le=1)
    #: "classify" only: -ln of the probability given to the expected label, in nats; capped at 20.
    loss: float = Field(default=0.0, ge=0)
    #: Size of the prompt: the same on every machine, unlike what it cost, which is nothing where the
    #: model server has kept the answer.
    prompt_characters: int = Field(default=0, ge=0)
    generated_tokens: int = Field(default=0, ge=0)

    @property
    def tokens(self) -> int:
        """Of prompt and answer, at four characters a token: about, but the same on every machine."""
        return self.prompt_characters // 4 + self.generated_tokens

    @property
    def correct(self) -> bool:
        """Whether it is entirely right."""
        return self.score == 1.0


class Failure(Record):
    """An example that was not answered or not scored. It has no score, least of all zero."""

    example: int
    error: str = Field(max_length=4000)
    #: Asking again may help.
    transient: bool


class Result(Record):
    #: In the request's order; each of its examples is here or among the failures.
    outcomes: tuple[Outcome, ...]
    failures: tuple[Failure, ...] = ()
    #: What the shard cost: less where answers had been kept.
    prompt_tokens: int
    generated_tokens: int = 0
    seconds: float
    #: What an endpoint charged, in millionths of its currency's unit.
    cost_micros: int = 0
    model: str
    model_sha256: str
    dtype: str
    #: The sampling seed that it was asked with.
    seed: int = 0


def cache_key(request: Request, example: int, model_sha256: str) -> str:
    """Names an answer and its score: equal keys, equal outcomes, in whichever run.

    Genomes name their demonstrations by id, so the corpus and its index are part of it.
    """
    parts = [
        digest(request.genome), request.corpus, request.index, example, model_sha256,
        request.metric.model_dump(mode="json"), request.seed,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


TASK = TaskSpec(name="darwin.evaluate", request=Request, result=Result, lanes=("gpu", "cpu"), deadline_s=900)

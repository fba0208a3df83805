"""``darwin.evaluate``: one genome answers a shard of examples."""

from __future__ import annotations

from pydantic import Field

from tasks.darwin_genome import Genome
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


class Outcome(Record):
    """What became of one example."""

    example: int
    predicted: str
    correct: bool
    #: Probability given to the predicted label, 0..1.
    confidence: float = Field(ge=0, le=1)
    #: -ln of the probability given to the expected label, in nats; capped at 20.
    loss: float = Field(ge=0)


class Result(Record):
    #: One per example, in the request's order.
    outcomes: tuple[Outcome, ...]
    prompt_tokens: int
    seconds: float
    model: str
    model_sha256: str
    dtype: str


TASK = TaskSpec(name="darwin.evaluate", request=Request, result=Result, lanes=("gpu", "cpu"), deadline_s=900)

"""``darwin.rehearse``: the owner's metric is tried on a few examples before an evolution begins.

What is wrong with it shows here, in a second, and not after an hour of a GPU's time.
"""

from __future__ import annotations

from pydantic import Field

from tasks.darwin_metrics import Metric
from tasks.record import Record
from tasks.spec import TaskSpec


class Request(Record):
    metric: Metric
    #: sha256 of the ``Corpus`` artifact.
    corpus: str = Field(min_length=64, max_length=64)
    #: Ids of the examples to try it on.
    examples: tuple[int, ...] = Field(min_length=1, max_length=64)


class Result(Record):
    #: Mean score of what is expected, given as the answer.
    right: float = Field(ge=0, le=1)
    #: Mean score of what other examples expect, and of an empty answer.
    wrong: float = Field(ge=0, le=1)
    #: Scores of the right answers, by example.
    scores: tuple[float, ...]
    seconds: float = Field(ge=0)


TASK = TaskSpec(
    name="darwin.rehearse",
    request=Request,
    result=Result,
    lanes=("cpu", "gpu"),
    deadline_s=300,
    max_attempts=2,
)

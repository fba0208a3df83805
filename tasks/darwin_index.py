"""``darwin.index``: embeds a corpus once per run and lists each example's nearest neighbors in the pool."""

from __future__ import annotations

from pydantic import Field

from tasks.record import Record
from tasks.spec import TaskSpec


class Request(Record):
    #: sha256 of the ``Corpus`` artifact.
    corpus: str = Field(min_length=64, max_length=64)
    #: Embedding model reference. Always named: "" would be described as the default language model.
    model: str = Field(min_length=1)


class Result(Record):
    #: sha256 of the ``Index`` artifact.
    index: str
    model_sha256: str


TASK = TaskSpec(name="darwin.index", request=Request, result=Result, lanes=("gpu", "cpu"), deadline_s=1800)

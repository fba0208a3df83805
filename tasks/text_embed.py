"""``text.embed``: vectors for a shard of texts."""

from __future__ import annotations

from pydantic import Field

from tasks.record import Record
from tasks.spec import TaskSpec


class Request(Record):
    texts: tuple[str, ...] = Field(min_length=1, max_length=512)
    #: Model reference; "" means the embedded sentence model.
    model: str = ""


class Result(Record):
    #: One unit-length vector per text, rounded to 5 decimals.
    vectors: tuple[tuple[float, ...], ...]
    model_sha256: str


TASK = TaskSpec(name="text.embed", request=Request, result=Result, lanes=("gpu", "cpu"))

"""``fleet.noop``: does nothing, or waits a little. For canaries, benchmarks and tests of dispatch."""

from __future__ import annotations

from pydantic import Field

from tasks.record import Record
from tasks.spec import TaskSpec


class Request(Record):
    #: Stay busy for so long before answering.
    duration_s: float = Field(default=0.0, ge=0, le=3600)
    #: Returned as it came.
    echo: str = Field(default="", max_length=1000)


class Result(Record):
    echo: str
    #: When the handler began, seconds since the epoch on the worker's clock.
    started_at_s: float


TASK = TaskSpec(name="fleet.noop", request=Request, result=Result, deadline_s=3700)

"""``fleet.canary``: a worker with a new build shows that it can run every task of it."""

from __future__ import annotations

from tasks.record import Record
from tasks.spec import TaskSpec


class Request(Record):
    pass


class Result(Record):
    #: Tasks whose handler was loaded.
    tasks: tuple[str, ...]
    build: str


TASK = TaskSpec(name="fleet.canary", request=Request, result=Result, deadline_s=120, max_attempts=1)

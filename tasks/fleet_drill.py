"""``fleet.drill``: misbehaves on purpose, to see that one bad step harms nobody else."""

from __future__ import annotations

import enum

from pydantic import Field

from tasks.record import Record
from tasks.spec import TaskSpec


class Behavior(enum.StrEnum):
    #: Kills its own process.
    CRASH = "crash"
    #: Does nothing until its deadline ends it.
    HANG = "hang"
    #: Fills ``memory_mib`` and keeps it until its deadline.
    ALLOCATE = "allocate"
    #: Fails in a way that another attempt may cure.
    FAIL = "fail"


class Request(Record):
    behavior: Behavior
    memory_mib: int = Field(default=0, ge=0, le=65_536)


class Result(Record):
    pass


TASK = TaskSpec(name="fleet.drill", request=Request, result=Result, deadline_s=4, max_attempts=3)

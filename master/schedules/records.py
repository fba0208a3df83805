"""The words of schedules: what is to be started when, and what became of it."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import Field

from tasks.protocol import Name
from tasks.record import Record

Cron = Annotated[str, Field(min_length=1, max_length=200)]


class Missed(enum.StrEnum):
    """What to do about moments at which the master was away."""

    #: One execution makes up for all of them.
    ONCE = "once"
    SKIP = "skip"


class Overlap(enum.StrEnum):
    """What to do when it is due while the last one still goes on."""

    SKIP = "skip"
    ALLOW = "allow"


class NewSchedule(Record):
    name: Name
    #: A flow to run; or empty, and ``duty``.
    flow: str = Field(default="", max_length=100)
    #: Something that the master does itself, such as "backup".
    duty: str = Field(default="", max_length=100)
    params: dict[str, Any] = Field(default_factory=dict)
    #: "0 3 * * *": minute, hour, day, month, weekday; or "@hourly", "@daily", "@weekly", "@monthly".
    cron: Cron
    #: "Europe/Madrid"; empty: the owner's, from the policy.
    zone: str = Field(default="", max_length=100)
    enabled: bool = Field(default=True, strict=True)
    missed: Missed = Missed.ONCE
    overlap: Overlap = Overlap.SKIP


class Change(Record):
    """What is to be different; null: as it is."""

    params: dict[str, Any] | None = None
    cron: Cron | None = None
    zone: str | None = Field(default=None, max_length=100)
    missed: Missed | None = None
    overlap: Overlap | None = None


class ExecutionState(enum.StrEnum):
    """Where an execution stands; of one with a run, the run's state."""

    #: A duty that has not begun.
    READY = "ready"
    RUNNING = "running"
    #: Its run waits for a human.
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    #: It was due and was left out; the note says why.
    SKIPPED = "skipped"


#: Executions that are over are shown for so long.
KEPT = timedelta(days=180)
#: In which something goes on that another execution might disturb.
OPEN = (ExecutionState.READY, ExecutionState.RUNNING, ExecutionState.WAITING)


class Execution(Record):
    id: str
    schedule: str
    due_at: datetime
    #: "clock", or who asked for it ("token:ana").
    origin: str
    state: ExecutionState
    duty: str
    #: Empty: a duty, or it was not started.
    run_id: str
    note: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Schedule(Record):
    name: str
    flow: str
    duty: str
    params: dict[str, Any]
    cron: str
    zone: str
    enabled: bool
    missed: Missed
    overlap: Overlap
    #: Null while it is off.
    next_at: datetime | None
    created_at: datetime
    created_by: str
    #: The latest time that it was due; null: it never was.
    last: Execution | None

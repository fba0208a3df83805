"""The messages between a worker and the master, and the ticket that travels through the broker.

The ticket is all that a broker ever carries. Everything else goes over HTTP, with a token.
"""

from __future__ import annotations

import enum
from typing import Annotated, Any

from pydantic import Field

from tasks.record import Record

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Token = Annotated[str, Field(min_length=8, max_length=64)]


class Ticket(Record):
    """Says which attempt at which step may be claimed. Worth nothing without a claim."""

    step: int
    attempt: int
    build: str


class Gpu(Record):
    name: str
    memory_mib: int
    driver: str = ""
    compute_capability: str = ""


class Hardware(Record):
    machine: str
    cpus: int
    memory_mib: int
    disk_free_mib: int
    gpus: tuple[Gpu, ...] = ()


class Join(Record):
    """A worker process introduces itself; a new session ends what an older one left running."""

    worker: Name
    session: Token
    build: str = Field(max_length=64)
    commit: str = Field(default="", max_length=64)
    dirty: bool = False
    lanes: tuple[str, ...]
    slots: int = Field(ge=1, le=1024)
    host: str = Field(max_length=255)
    hardware: Hardware


class Welcome(Record):
    """The master's answer to a join or a heartbeat."""

    state: str
    #: Why, in words, when the state is not ``active``.
    reason: str = ""
    fleet_build: str
    heartbeat_s: float


class Heartbeat(Record):
    worker: Name
    session: Token
    hardware: Hardware


class ClaimRequest(Record):
    worker: Name
    session: Token
    step: int
    attempt: int
    build: str = Field(max_length=64)
    #: Chosen by the worker for this delivery: a repeated request gets the same grant again.
    claim: Token


class Grant(Record):
    """Permission to run one attempt, with all that it needs."""

    step: int
    attempt: int
    run: str
    key: str
    task: str
    #: The task's request, as JSON.
    request: dict[str, Any]
    #: Fencing token: goes with every renewal and with the result.
    token: Token
    lease_s: float
    deadline_s: int


class Refusal(Record):
    """A claim that was not granted; the ticket is dropped."""

    refused: str


class Renewal(Record):
    step: int
    token: Token
    progress: float = Field(default=0.0, ge=0, le=1)
    note: str = Field(default="", max_length=500)


class Renewed(Record):
    lease_s: float


class Failure(enum.StrEnum):
    """Why an attempt did not succeed; decides, together with the count, whether it is tried again."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    #: It ran past its deadline.
    DEADLINE = "deadline"
    #: Its own process died under it.
    CRASHED = "crashed"
    #: Its worker or its host went away.
    LOST = "lost"
    CANCELLED = "cancelled"


class Report(Record):
    """The end of one attempt: a result, or a failure with its text."""

    step: int
    attempt: int
    token: Token
    worker: Name
    result: dict[str, Any] | None = None
    failure: Failure | None = None
    error: str = Field(default="", max_length=20_000)
    #: Tokens, seconds, model: whatever the handler measured.
    usage: dict[str, Any] = Field(default_factory=dict)


class Lost(Record):
    """A worker's parent process says that the process of one of its attempts is gone."""

    worker: Name
    session: Token
    step: int
    attempt: int
    failure: Failure
    error: str = Field(default="", max_length=2000)


class Recorded(Record):
    """The master has the report. ``again``: it had it before, and nothing was recorded twice."""

    again: bool = False

"""What the API answers with, as records: the shapes that programs may rely on.

What a capability has a record for is answered with that one; here are the others.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """Checked and frozen. A field that a capability adds is not shown before it is written here."""

    model_config = ConfigDict(frozen=True)


class Status(Answer):
    """The fleet at a glance."""

    state: Literal["running", "paused"]
    build: str
    #: Of this process: another one while the fleet changes over.
    master_build: str
    time: datetime
    #: State to number.
    workers: dict[str, int]
    slots: int
    runs: dict[str, int]
    steps: dict[str, int]
    #: What the owner must look at: kind, since, and the values that belong to the kind.
    notices: tuple[dict[str, Any], ...]
    approvals_pending: int
    model: str


class RunLine(Answer):
    """A run in a list."""

    id: str
    flow: str
    state: str
    #: 0 to 1.
    progress: float
    note: str
    steps_total: int
    steps_done: int
    steps_failed: int
    created_at: datetime
    finished_at: datetime | None
    error: str
    priority: int


class Step(Answer):
    id: int
    key: str
    task: str
    kind: str
    state: str
    #: Claimed or waited for; 0 for what needs no worker.
    attempts: int
    worker: str
    build: str
    lane: str
    progress: float
    note: str
    error: str
    #: What models were asked, and what that cost.
    usage: dict[str, Any]
    created_at: datetime
    claimed_at: datetime | None
    finished_at: datetime | None


class ArtifactLine(Answer):
    """Bytes that a run kept; they are at ``/api/artifacts/{digest}``."""

    digest: str
    name: str
    media_type: str
    size: int


class ArtifactFound(ArtifactLine):
    run_id: str
    created_at: datetime


class RunShown(RunLine):
    """A run with what belongs to it."""

    params: dict[str, Any]
    result: dict[str, Any] | None
    steps: tuple[Step, ...]
    artifacts: tuple[ArtifactLine, ...]


class Attempt(Answer):
    """One try at a step by one session of a worker."""

    step_id: int
    key: str
    attempt: int
    worker: str
    session: str
    build: str
    claimed_at: datetime
    ended_at: datetime | None
    #: "done", or the kind of failure; empty while it runs.
    outcome: str
    error: str


class Event(Answer):
    """One line of what happened."""

    seq: int
    at: datetime
    name: str
    run_id: str
    step_id: int | None
    worker: str
    data: dict[str, Any]


class Flow(Answer):
    """What a run can be of."""

    name: str
    #: JSON Schema of its params.
    params: dict[str, Any]


class Made(Answer):
    id: str


class Retried(Answer):
    id: str
    #: How many steps are tried again.
    steps: int
    #: How many are set aside, to be asked for anew: 0 unless the run was taken up from a step.
    aside: int


class Paused(Answer):
    paused: bool


class Kept(Answer):
    digest: str
    size: int


class Code(Answer):
    """Good once, for 15 minutes, at ``/login?code=``."""

    code: str


class NewToken(Answer):
    name: str
    scope: str
    #: Shown this once.
    token: str


class Revoked(Answer):
    name: str
    revoked: int


class Entry(Answer):
    """Number of the ledger's entry."""

    seq: int


class RunningStep(Answer):
    id: int
    run_id: str
    key: str
    task: str
    progress: float
    note: str
    claimed_at: datetime | None


class Worker(Answer):
    name: str
    state: str
    reason: str
    build: str
    commit: str
    dirty: bool
    lanes: tuple[str, ...]
    slots: int
    host: str
    hardware: dict[str, Any]
    joined_at: datetime
    seen_at: datetime
    local: bool
    clock_skew_s: float
    note: str
    can_update: bool
    auto_update: bool
    update_to: str
    update_error: str
    #: Its model server's latest numbers; null without one.
    model_server: dict[str, Any] | None
    running: tuple[RunningStep, ...]


class Invited(Answer):
    """How a machine becomes a worker. The code is shown this once."""

    code: str
    url: str
    worker: str
    expires_at: datetime
    #: To run on the new machine.
    command: str
    command_in_checkout: str
    #: Other machines cannot reach the master as it listens now.
    only_here: bool


class Asked(Answer):
    """Names of the workers that were asked to update."""

    workers: tuple[str, ...]


class Updating(Answer):
    name: str
    build: str


class Moved(Answer):
    name: str
    state: str


class Budget(Answer):
    month: str
    category: str
    currency: str
    limit_minor: int
    held_minor: int
    spent_minor: int
    left_minor: int

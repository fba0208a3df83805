"""The messages between a worker and the master, and the ticket that travels through the broker.

The ticket is all that a broker ever carries. Everything else goes over HTTP, with a token.
"""

from __future__ import annotations

import enum
from typing import Annotated, Any

from pydantic import AwareDatetime, ConfigDict, Field

from tasks.record import Record

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Token = Annotated[str, Field(min_length=8, max_length=64)]


class Spoken(Record):
    """A message that also passes between different builds, so that a worker of an old build can be
    told so and updated: fields that one side does not know are ignored."""

    model_config = ConfigDict(extra="ignore")


class Ticket(Record):
    """Says which attempt at which step may be claimed. Worth nothing without a claim."""

    step: int
    attempt: int
    build: str


class Gpu(Spoken):
    name: str
    memory_mib: int
    driver: str = ""
    compute_capability: str = ""
    memory_used_mib: int = 0
    #: None where the driver does not say.
    temperature_c: int | None = None
    use_pct: int | None = None


class Hardware(Spoken):
    machine: str
    cpus: int
    memory_mib: int
    disk_free_mib: int
    gpus: tuple[Gpu, ...] = ()
    memory_free_mib: int = 0
    #: Use of all cores since the last report, 0 to 100.
    cpu_pct: float = 0.0
    #: Ways to run untrusted code that were tried here and worked.
    executors: tuple[str, ...] = ()
    #: References of the models that are on this machine.
    models: tuple[str, ...] = ()


Measure = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]

#: Models that one message names at most, and the length of a reference.
MOST_MODELS = 64
MOST_REFERENCE = 300


class ModelServerStats(Spoken):
    """How the model server beside a worker stands. What is counted, is counted since the server started."""

    #: References of the loaded models.
    models: tuple[Annotated[str, Field(max_length=MOST_REFERENCE)], ...] = Field(
        default=(), max_length=MOST_MODELS
    )
    #: Items that were accepted and have not ended.
    waiting: Count = 0
    #: Texts that are being generated now, and the most that there may be.
    rows: Count = 0
    max_rows: Count = 0
    #: Mean number of rows in a pass that draws a token for each.
    occupancy: Measure = 0.0
    #: Of the shared beginnings of prompts, those that were computed already.
    prefix_hit_rate: Share = 0.0
    #: Of what was computed, what held no token.
    padding_share: Share = 0.0
    #: Prompt and generated tokens in a second of computing.
    tokens_per_s: Measure = 0.0
    #: From an item's arrival to its end, over the last thousand or so.
    latency_p50_s: Measure = 0.0
    latency_p95_s: Measure = 0.0
    memory_mib: Measure = 0.0
    gpu_memory_mib: Measure = 0.0
    #: Items, by how they ended; of those done, ``kept`` were answered by a kept answer.
    done: Count = 0
    cancelled: Count = 0
    expired: Count = 0
    rejected: Count = 0
    failed: Count = 0
    kept: Count = 0
    prompt_tokens: Count = 0
    generated_tokens: Count = 0


class Join(Spoken):
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
    #: Runs under a keeper, which can bring it to another build.
    can_update: bool = False
    #: Its owner allows that without being asked.
    auto_update: bool = False
    #: The build that it goes back to if this one does not prove itself; "" when it is not on trial.
    trial_from: str = Field(default="", max_length=64)
    #: Why the last change of build was undone, or "".
    update_error: str = Field(default="", max_length=2000)
    #: The worker's clock.
    sent_at: AwareDatetime | None = None


class Welcome(Spoken):
    """The master's answer to a join or a heartbeat."""

    state: str
    #: Why, in words, when the state is not ``active``.
    reason: str = ""
    fleet_build: str
    heartbeat_s: float
    #: The build that the worker is asked to change to, or "".
    update_to: str = ""
    #: The owner wants to see the end of its log.
    log_wanted: bool = False


class Heartbeat(Spoken):
    worker: Name
    session: Token
    hardware: Hardware
    sent_at: AwareDatetime | None = None
    #: What it is busy with beside steps, for people: "unpacking build 3f2a91c".
    note: str = Field(default="", max_length=500)
    #: None where no model server runs, or it does not answer at once.
    models: ModelServerStats | None = None


#: Characters of a log's end, and so at most four times as many bytes.
MOST_LOG = 64 * 1024


class WorkerLog(Spoken):
    """The end of a worker's log, sent when it was asked for; without what looks like a secret."""

    worker: Name
    session: Token
    text: str = Field(max_length=MOST_LOG)


class Redeem(Spoken):
    """A new machine shows its invite."""

    invite: Token
    worker: Name


class Joined(Spoken):
    """What a machine needs to be a worker; its home keeps it."""

    worker: Name
    token: str
    broker_url: str
    #: The key that signs the fleet's releases: 64 hexadecimal digits (Ed25519).
    release_key: str
    build: str


class Release(Spoken):
    """Describes the code of a build as the master hands it out; the bytes come beside it."""

    build: str
    sha256: Digest
    size: int
    #: Ed25519 over ``signed_text``, 128 hexadecimal digits.
    signature: str

    @property
    def signed_text(self) -> bytes:
        return f"d8 release\n{self.build}\n{self.sha256}\n{self.size}\n".encode()


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
    #: What models were asked, and what it cost: tokens, seconds, and each model with its sha256.
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

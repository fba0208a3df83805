"""The messages between ``ModelClient`` and the model server: JSON over HTTP on a Unix socket.

Every POST answers 200 with its reply, 422 with a ``Refusal`` when trying again cannot help, or
503 with a ``Refusal`` when it may. In a reply each item has its result or its own failure. A
``GenerateRequest`` that streams is answered by lines of JSON: a ``Part`` for every further part of a
text, and a ``GenerateReply`` at last.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.record import Record
from worker.models.outcomes import Failed, Outcome
from worker.models.protocol import Generated, GenerateItem, Scored, ScoreItem, Usage

#: Changes whenever these messages do. A worker replaces a server that speaks another one.
PROTOCOL = 2

PERMANENT_STATUS = 422
TRANSIENT_STATUS = 503

#: The most items that one message may carry; the client splits longer lists.
MAX_ITEMS = 1024


class ScoreRequest(Record):
    model: str
    items: tuple[ScoreItem, ...] = Field(min_length=1, max_length=MAX_ITEMS)


class ScoreReply(Record):
    results: tuple[Scored | Failed, ...]
    usage: Usage


class GenerateRequest(Record):
    model: str
    items: tuple[GenerateItem, ...] = Field(min_length=1, max_length=MAX_ITEMS)
    stream: bool = False


class Part(Record):
    """A further part of one item's text."""

    item: int
    text: str


class GenerateReply(Record):
    results: tuple[Generated | Failed, ...]
    usage: Usage


class EmbedRequest(Record):
    model: str
    texts: tuple[str, ...] = Field(min_length=1, max_length=MAX_ITEMS)


class EmbedReply(Record):
    vectors: tuple[tuple[float, ...], ...]
    usage: Usage


class ChatPromptRequest(Record):
    model: str
    #: (role, text) pairs.
    messages: tuple[tuple[str, str], ...] = Field(min_length=1, max_length=MAX_ITEMS)


class ChatPromptReply(Record):
    prompt: str


class DescribeRequest(Record):
    #: "" is the default text model.
    model: str


class DescribeReply(Record):
    model: str
    sha256: str
    dtype: str
    device: str


class Refusal(Record):
    """Why a request was not answered, in one paragraph."""

    kind: Literal["permanent", "transient"]
    message: str
    outcome: Outcome = Outcome.FAILED


class Stats(Record):
    """What the server did since it started."""

    uptime_s: float = 0.0
    #: Items, by how they ended.
    done: int = 0
    cancelled: int = 0
    expired: int = 0
    rejected: int = 0
    failed: int = 0
    #: Of those done, how many were answered by a kept answer.
    kept: int = 0
    #: Items accepted and not yet ended.
    queue_depth: int = 0
    #: From an item's arrival to its end, over the last thousand or so, in seconds.
    latency_p50_s: float = 0.0
    latency_p95_s: float = 0.0
    #: Tokens of all prompts as the clients count them, shared or not.
    prompt_tokens: int = 0
    #: Prompt and choice tokens that really went through a model (less than ``prompt_tokens`` where
    #: prefixes are shared), without padding.
    computed_tokens: int = 0
    padding_tokens: int = 0
    generated_tokens: int = 0
    #: Forward passes that drew a token for every row, and the rows that they had.
    decode_steps: int = 0
    decode_rows: int = 0
    #: Rows being generated now, and the most that there may be.
    rows: int = 0
    max_rows: int = 0
    #: Seconds during which a model was computing.
    busy_s: float = 0.0
    #: (prompt + generated tokens) / busy seconds.
    tokens_per_s: float = 0.0
    prefix_hits: int = 0
    prefix_misses: int = 0
    prefix_cache_mib: float = 0.0
    memory_mib: float = 0.0
    #: Of a GPU: allocated by Torch, and the most that it ever was.
    gpu_memory_mib: float = 0.0
    gpu_memory_peak_mib: float = 0.0
    models: tuple[str, ...] = ()

    @property
    def prefix_hit_rate(self) -> float:
        """Share of shared beginnings that were already there, 0 to 1."""
        looked = self.prefix_hits + self.prefix_misses
        return self.prefix_hits / looked if looked else 0.0

    @property
    def padding_share(self) -> float:
        """Share of computed columns that held no token, 0 to 1."""
        computed = self.computed_tokens + self.padding_tokens
        return self.padding_tokens / computed if computed else 0.0

    @property
    def occupancy(self) -> float:
        """Mean number of rows in a decoding pass."""
        return self.decode_rows / self.decode_steps if self.decode_steps else 0.0


class Health(Record):
    protocol: int
    pid: int
    stats: Stats

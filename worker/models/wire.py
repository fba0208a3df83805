"""The messages between ``ModelClient`` and the model server: JSON over HTTP on a Unix socket.

Every POST answers 200 with its reply, 422 with a ``Refusal`` when trying again cannot help, or
503 with a ``Refusal`` when it may.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.record import Record
from worker.models.protocol import Generated, GenerateItem, Scored, ScoreItem, Usage

#: Changes whenever these messages do. A worker replaces a server that speaks another one.
PROTOCOL = 1

PERMANENT_STATUS = 422
TRANSIENT_STATUS = 503

#: The most items that one message may carry; the client splits longer lists.
MAX_ITEMS = 1024


class ScoreRequest(Record):
    model: str
    items: tuple[ScoreItem, ...] = Field(min_length=1, max_length=MAX_ITEMS)


class ScoreReply(Record):
    results: tuple[Scored, ...]
    usage: Usage


class GenerateRequest(Record):
    model: str
    items: tuple[GenerateItem, ...] = Field(min_length=1, max_length=MAX_ITEMS)


class GenerateReply(Record):
    results: tuple[Generated, ...]
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


class Stats(Record):
    """What the server did since it started."""

    uptime_s: float = 0.0
    requests: int = 0
    failures: int = 0
    #: Items accepted and not yet answered.
    queue_depth: int = 0
    #: Tokens of all prompts as the clients count them, shared or not.
    prompt_tokens: int = 0
    #: Prompt and choice tokens that really went through a model (less than ``prompt_tokens`` where
    #: prefixes are shared), without padding.
    computed_tokens: int = 0
    padding_tokens: int = 0
    generated_tokens: int = 0
    #: Seconds during which a model was computing.
    busy_s: float = 0.0
    #: (prompt + generated tokens) / busy seconds.
    tokens_per_s: float = 0.0
    prefix_hits: int = 0
    prefix_misses: int = 0
    prefix_cache_mib: float = 0.0
    memory_mib: float = 0.0
    models: tuple[str, ...] = ()


class Health(Record):
    protocol: int
    pid: int
    stats: Stats

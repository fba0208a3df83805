"""What the server asks of whatever answers for a model: Torch, an endpoint, or a fake."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol

from worker.models.protocol import GenerateItem, ScoreItem
from worker.models.wire import DescribeReply, EmbedReply, GenerateReply, ScoreReply


class Backend(Protocol):
    """One model, ready to answer. Called from many threads at once.

    The three working calls return at once with a future that ends in the reply, or in
    ``PermanentFailure`` or ``TransientFailure``. Cancelling the future drops what has not begun.
    """

    def score(self, items: Sequence[ScoreItem]) -> Future[ScoreReply]: ...

    def generate(self, items: Sequence[GenerateItem]) -> Future[GenerateReply]: ...

    def embed(self, texts: Sequence[str]) -> Future[EmbedReply]: ...

    def chat_prompt(self, messages: Sequence[tuple[str, str]]) -> str: ...

    def describe(self) -> DescribeReply: ...

    @property
    def prefix_cache_bytes(self) -> int:
        """Memory in which computed prefixes are kept."""
        ...

"""What the server asks of whatever answers for a model: Torch, an endpoint, or a fake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol, runtime_checkable

from worker.models.protocol import GenerateItem, ScoreItem
from worker.models.wire import DescribeReply, EmbedReply, GenerateReply, ScoreReply


class Backend(Protocol):
    """One model, ready to answer. Called from many threads at once.

    The three working calls return at once with a future that ends in the reply, in which an item may
    have failed, or in ``PermanentFailure`` or ``TransientFailure`` where all of it did. Cancelling the
    future gives up what is not done.
    """

    def score(self, items: Sequence[ScoreItem]) -> Future[ScoreReply]: ...

    def generate(
        self, items: Sequence[GenerateItem], listener: Callable[[int, str], None] | None = None
    ) -> Future[GenerateReply]:
        """``listener`` is called with an item's number and every further part of its text, from any
        thread, before the future ends."""
        ...

    def embed(self, texts: Sequence[str]) -> Future[EmbedReply]: ...

    def chat_prompt(self, messages: Sequence[tuple[str, str]]) -> str: ...

    def describe(self) -> DescribeReply: ...

    def forget(self) -> None:
        """Drop computed prefixes."""
        ...

    @property
    def prefix_cache_bytes(self) -> int:
        """Memory in which computed prefixes are kept."""
        ...


@runtime_checkable
class Ending(Protocol):
    """A backend with a thread of its own, which must be told that it is not used anymore."""

    def retire(self) -> None:
        """End once all that came is answered. Does not wait."""
        ...

    def stop(self) -> None:
        """End within seconds."""
        ...

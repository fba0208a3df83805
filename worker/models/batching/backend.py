"""A model that transformers batches, behind the server's ``Backend`` port."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future

from worker.models.batching.guard import Guard
from worker.models.batching.size import CacheSize
from worker.models.batching.task import Rules, plain_name
from worker.models.jobs import Job, replied, units_of
from worker.models.outcomes import Rejected
from worker.models.protocol import Generated, GenerateItem, ScoreItem
from worker.models.stats import Counters
from worker.models.wire import DescribeReply, EmbedReply, GenerateReply, ScoreReply


class BatchingBackend:
    """Generates greedily, and nothing else."""

    def __init__(self, rules: Rules, guard: Guard, description: DescribeReply, counters: Counters) -> None:
        self._rules = rules
        self._guard = guard
        self._description = description
        self._counters = counters

    def generate(
        self, items: Sequence[GenerateItem], listener: Callable[[int, str], None] | None = None
    ) -> Future[GenerateReply]:
        job: Job[Generated] = Job(len(items), self._counters, listener)
        self._guard.submit(units_of(job, items, self._rules.accepted))
        job.future.add_done_callback(lambda done: self._guard.wake() if done.cancelled() else None)
        return replied(job, lambda results, usage: GenerateReply(results=tuple(results), usage=usage))

    def score(self, items: Sequence[ScoreItem]) -> Future[ScoreReply]:
        raise Rejected(
            f"{self._description.model} generates text and scores no choices: name "
            f"{plain_name(self._description.model)} instead"
        )

    def embed(self, texts: Sequence[str]) -> Future[EmbedReply]:
        raise Rejected(
            f"{self._description.model} generates text and embeds none: name a sentence embedding model, "
            "for example embedded:minilm"
        )

    def chat_prompt(self, messages: Sequence[tuple[str, str]]) -> str:
        return self._rules.text.chat_prompt(messages)

    def describe(self) -> DescribeReply:
        return self._description

    def forget(self) -> None:
        self._guard.forget()

    def retire(self) -> None:
        """Put away by the registry: free everything once all that came is answered."""
        self._guard.retire()

    def stop(self) -> None:
        """End within seconds, whatever is computed."""
        self._guard.stop()

    @property
    def size(self) -> CacheSize:
        return self._rules.size

    @property
    def prefix_cache_bytes(self) -> int:
        """All of the cache: which part of it holds computed beginnings is not told."""
        return self.size.bytes if self._guard.holds_cache else 0

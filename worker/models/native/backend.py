"""A loaded Torch model behind the server's ``Backend`` port."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from worker.models.jobs import Job, Unit, replied, units_of
from worker.models.native.causal import CausalModel
from worker.models.native.decoding import DecodeQueue
from worker.models.native.engine import Engine
from worker.models.native.plain import PlainDecodeQueue
from worker.models.native.queues import EmbedQueue, ScoreQueue, Vector
from worker.models.native.rows import GenerateTask
from worker.models.native.scoring import ScoreTask
from worker.models.native.sentence import SentenceModel
from worker.models.outcomes import Rejected, all_there
from worker.models.protocol import Asked, Generated, GenerateItem, Scored, ScoreItem
from worker.models.stats import Counters
from worker.models.wire import DescribeReply, EmbedReply, GenerateReply, ScoreReply

Item = TypeVar("Item", bound=Asked)
Task = TypeVar("Task")
Result = TypeVar("Result")


class CausalBackend:
    """Scores and generates with one causal language model."""

    def __init__(
        self, model: CausalModel, description: DescribeReply, engine: Engine, counters: Counters
    ) -> None:
        self._model = model
        self._description = description
        self._engine = engine
        self._counters = counters
        self._scoring = ScoreQueue(model, counters)
        self._decoding = DecodeQueue(model, counters) if model.shares else PlainDecodeQueue(model, counters)

    def score(self, items: Sequence[ScoreItem]) -> Future[ScoreReply]:
        job: Job[Scored] = Job(len(items), self._counters)
        units = units_of(job, items, self._score_task)
        self._engine.submit(self._scoring, lambda: self._scoring.add(units))
        return replied(job, lambda results, usage: ScoreReply(results=tuple(results), usage=usage))

    def generate(
        self, items: Sequence[GenerateItem], listener: Callable[[int, str], None] | None = None
    ) -> Future[GenerateReply]:
        job: Job[Generated] = Job(len(items), self._counters, listener)
        units = units_of(job, items, self._generate_task)
        self._engine.submit(self._decoding, lambda: self._decoding.add(units))
        return replied(job, lambda results, usage: GenerateReply(results=tuple(results), usage=usage))

    def embed(self, texts: Sequence[str]) -> Future[EmbedReply]:
        raise Rejected(
            f"{self._description.model} generates text and embeds none: name a sentence embedding model, "
            "for example embedded:minilm"
        )

    def chat_prompt(self, messages: Sequence[tuple[str, str]]) -> str:
        return self._model.text.chat_prompt(messages)

    def describe(self) -> DescribeReply:
        return self._description

    def forget(self) -> None:
        self._engine.call(self._model.prefixes.clear)

    @property
    def prefix_cache_bytes(self) -> int:
        return self._model.prefixes.bytes

    def _score_task(self, number: int, item: ScoreItem) -> ScoreTask:
        text = self._model.text
        prompt = text.prompt(item.prompt)
        choices = tuple(text.continuation(item.prompt, choice) for choice in item.choices)
        longest = len(prompt) + max(len(choice) for choice in choices)
        text.check_length(longest, f"item {number} to score (its prompt and longest choice)")
        return ScoreTask(prompt, choices)

    def _generate_task(self, number: int, item: GenerateItem) -> GenerateTask:
        prompt = self._model.text.prompt(item.prompt)
        self._model.text.check_length(
            len(prompt) + 1, f"item {number} to generate (with its first new token)"
        )
        if item.grammar.kind != "none":
            self._model.grammars.begin(
                item.grammar
            )  # what is wrong with it is told before anything is computed
        return GenerateTask(prompt, item)


class SentenceBackend:
    """Embeds with one encoder."""

    def __init__(
        self, model: SentenceModel, description: DescribeReply, engine: Engine, counters: Counters
    ) -> None:
        self._model = model
        self._description = description
        self._engine = engine
        self._counters = counters
        self._embedding = EmbedQueue(model, counters)
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[str]) -> Future[EmbedReply]:
        with self._lock:
            rows = self._model.tokens(texts)
        job: Job[Vector] = Job(len(rows), self._counters)
        units = [Unit(job, index, tokens) for index, tokens in enumerate(rows)]
        self._engine.submit(self._embedding, lambda: self._embedding.add(units))
        return replied(job, lambda results, usage: EmbedReply(vectors=tuple(all_there(results)), usage=usage))

    def score(self, items: Sequence[ScoreItem]) -> Future[ScoreReply]:
        raise self._refusal("score choices")

    def generate(
        self, items: Sequence[GenerateItem], listener: Callable[[int, str], None] | None = None
    ) -> Future[GenerateReply]:
        raise self._refusal("generate text")

    def chat_prompt(self, messages: Sequence[tuple[str, str]]) -> str:
        raise self._refusal("make a chat prompt")

    def describe(self) -> DescribeReply:
        return self._description

    def forget(self) -> None:
        """An encoder keeps nothing."""

    @property
    def prefix_cache_bytes(self) -> int:
        return 0

    def _refusal(self, wish: str) -> Rejected:
        return Rejected(
            f"{self._description.model} embeds sentences and cannot {wish}: name a causal language model, "
            "for example embedded:smollm2"
        )

"""A loaded Torch model behind the server's ``Backend`` port."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future

from tasks.errors import PermanentFailure
from worker.models.causal import CausalModel
from worker.models.decoding import DecodeQueue
from worker.models.engine import Engine
from worker.models.jobs import Job, Unit, replied
from worker.models.plain import PlainDecodeQueue
from worker.models.protocol import Generated, GenerateItem, Scored, ScoreItem
from worker.models.queues import EmbedQueue, ScoreQueue, Vector
from worker.models.rows import GenerateTask
from worker.models.scoring import ScoreTask
from worker.models.sentence import SentenceModel
from worker.models.stats import Counters
from worker.models.wire import DescribeReply, EmbedReply, GenerateReply, ScoreReply


class CausalBackend:
    """Scores and generates with one causal language model."""

    def __init__(
        self, model: CausalModel, description: DescribeReply, engine: Engine, counters: Counters
    ) -> None:
        self._model = model
        self._description = description
        self._engine = engine
        self._scoring = ScoreQueue(model, counters)
        self._decoding = DecodeQueue(model, counters) if model.shares else PlainDecodeQueue(model, counters)

    def score(self, items: Sequence[ScoreItem]) -> Future[ScoreReply]:
        tasks = [self._score_task(number, item) for number, item in enumerate(items)]
        job: Job[Scored] = Job(len(tasks))
        units = [Unit(job, index, task) for index, task in enumerate(tasks)]
        self._engine.submit(self._scoring, lambda: self._scoring.add(units))
        return replied(job, lambda results, usage: ScoreReply(results=tuple(results), usage=usage))

    def generate(self, items: Sequence[GenerateItem]) -> Future[GenerateReply]:
        tasks = [self._generate_task(number, item) for number, item in enumerate(items)]
        job: Job[Generated] = Job(len(tasks))
        units = [Unit(job, index, task) for index, task in enumerate(tasks)]
        self._engine.submit(self._decoding, lambda: self._decoding.add(units))
        return replied(job, lambda results, usage: GenerateReply(results=tuple(results), usage=usage))

    def embed(self, texts: Sequence[str]) -> Future[EmbedReply]:
        raise PermanentFailure(
            f"{self._description.model} generates text and embeds none: name a sentence embedding model, "
            "for example embedded:minilm"
        )

    def chat_prompt(self, messages: Sequence[tuple[str, str]]) -> str:
        return self._model.text.chat_prompt(messages)

    def describe(self) -> DescribeReply:
        return self._description

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
        return GenerateTask(prompt, item)


class SentenceBackend:
    """Embeds with one encoder."""

    def __init__(
        self, model: SentenceModel, description: DescribeReply, engine: Engine, counters: Counters
    ) -> None:
        self._model = model
        self._description = description
        self._engine = engine
        self._embedding = EmbedQueue(model, counters)
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[str]) -> Future[EmbedReply]:
        with self._lock:
            rows = self._model.tokens(texts)
        job: Job[Vector] = Job(len(rows))
        units = [Unit(job, index, tokens) for index, tokens in enumerate(rows)]
        self._engine.submit(self._embedding, lambda: self._embedding.add(units))
        return replied(job, lambda results, usage: EmbedReply(vectors=tuple(results), usage=usage))

    def score(self, items: Sequence[ScoreItem]) -> Future[ScoreReply]:
        raise self._refusal("score choices")

    def generate(self, items: Sequence[GenerateItem]) -> Future[GenerateReply]:
        raise self._refusal("generate text")

    def chat_prompt(self, messages: Sequence[tuple[str, str]]) -> str:
        raise self._refusal("make a chat prompt")

    def describe(self) -> DescribeReply:
        return self._description

    @property
    def prefix_cache_bytes(self) -> int:
        return 0

    def _refusal(self, wish: str) -> PermanentFailure:
        return PermanentFailure(
            f"{self._description.model} embeds sentences and cannot {wish}: name a causal language model, "
            "for example embedded:smollm2"
        )

"""What tests of kept answers share: a backend that answers when told to, and a Redis that is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import redis

from worker.models.fake import FakeBackend
from worker.models.jobs import Job, replied
from worker.models.kept.backend import KeptBackend
from worker.models.kept.keys import Answerer
from worker.models.kept.memory import AnswerMemory
from worker.models.kept.shared import SharedAnswers
from worker.models.kept.store import AnswerStore
from worker.models.outcomes import Failed
from worker.models.protocol import Generated, GenerateItem, Scored, ScoreItem, Usage
from worker.models.stats import Counters
from worker.models.wire import DescribeReply, EmbedReply, GenerateReply, ScoreReply

ANSWERER = Answerer(sha256="a" * 64, beside="", dtype="float32", device="cpu", engine="Fake", build="")


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class SlowBackend(FakeBackend):
    """Computes what it is asked when ``finish`` is called, and counts as an engine does."""

    def __init__(self, counters: Counters) -> None:
        self.counters = counters
        #: The items of every call, in order.
        self.calls: list[list[Any]] = []
        self.refuses: Exception | None = None
        self._unfinished: list[tuple[Job[Any], Sequence[Any], Callable[[], list[Any]]]] = []

    @property
    def asked(self) -> list[Any]:
        return [item for call in self.calls for item in call]

    @property
    def given_up(self) -> list[bool]:
        """Of each call that is not finished."""
        return [job.future.cancelled() for job, *_ in self._unfinished]

    def score(self, items: Sequence[ScoreItem]) -> Future[ScoreReply]:
        job: Job[Scored] = self._take(
            items, lambda: list(super(SlowBackend, self).score(items).result().results)
        )
        return replied(job, lambda results, usage: ScoreReply(results=tuple(results), usage=usage))

    def generate(
        self, items: Sequence[GenerateItem], listener: Callable[[int, str], None] | None = None
    ) -> Future[GenerateReply]:
        job: Job[Generated] = self._take(
            items, lambda: list(super(SlowBackend, self).generate(items).result().results), listener
        )
        return replied(job, lambda results, usage: GenerateReply(results=tuple(results), usage=usage))

    def embed(self, texts: Sequence[str]) -> Future[EmbedReply]:
        job: Job[Any] = self._take(
            texts, lambda: list(super(SlowBackend, self).embed(texts).result().vectors)
        )
        return replied(job, lambda results, usage: EmbedReply(vectors=tuple(results), usage=usage))

    def tell(self, text: str) -> None:
        """A part of the last call's first text."""
        job = self._unfinished[-1][0]
        if job.listener is not None:
            job.listener(0, text)

    def finish(self, failures: Mapping[int, Failed] | None = None) -> None:
        """Answer all that is unfinished; of each call, these items fail."""
        unfinished, self._unfinished = self._unfinished, []
        for job, _, compute in unfinished:
            if job.over:
                continue
            for index, result in enumerate(compute()):
                job.settle(index, (failures or {}).get(index, result), Usage(prompt_tokens=1))

    def _take(self, items: Sequence[Any], compute: Callable[[], list[Any]], listener: Any = None) -> Job[Any]:
        if self.refuses is not None:
            raise self.refuses
        self.calls.append(list(items))
        job: Job[Any] = Job(len(items), self.counters, listener)
        self._unfinished.append((job, items, compute))
        return job

    def describe(self) -> DescribeReply:
        return DescribeReply(model="slow:", sha256=ANSWERER.sha256, dtype="float32", device="cpu")


class DictClient:
    """As much of a Redis as the shared answers use, in a dictionary."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.lifetimes_s: list[int] = []
        self.calls = 0
        self.broken = False

    def mget(self, keys: list[str], /) -> list[bytes | None]:
        self._answer()
        return [self.values.get(key) for key in keys]

    def pipeline(self, transaction: bool) -> DictClient:
        return self

    def set(self, name: str, value: bytes, *, ex: int) -> None:
        self.values[name] = value
        self.lifetimes_s.append(ex)

    def execute(self) -> None:
        self._answer()

    def close(self) -> None:
        pass

    def _answer(self) -> None:
        self.calls += 1
        if self.broken:
            raise redis.ConnectionError("connection refused")


class House:
    """A backend with kept answers, and all that is behind it."""

    def __init__(self, *, answerer: Answerer = ANSWERER, shared: SharedAnswers | None = None) -> None:
        self.counters = Counters()
        self.inner = SlowBackend(self.counters)
        self.memory = AnswerMemory(2**20)
        self.kept = KeptBackend(self.inner, answerer, AnswerStore(self.memory, shared), self.counters)

    def ends(self) -> dict[str, int]:
        """How items ended, and how many of them by a kept answer."""
        stats = self.counters.snapshot((), 0)
        names = ("done", "cancelled", "expired", "rejected", "failed", "kept")
        return {name: getattr(stats, name) for name in names if getattr(stats, name)}


def text(prompt: str, **wishes: Any) -> GenerateItem:
    return GenerateItem.model_validate({"prompt": prompt, **wishes})


def choice(prompt: str, **wishes: Any) -> ScoreItem:
    return ScoreItem.model_validate({"prompt": prompt, "choices": ("a", "b"), **wishes})

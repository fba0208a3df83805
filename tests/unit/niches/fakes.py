"""A flow context, a handler's context and evidence, small and in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, create_engine, insert
from sqlalchemy.pool import StaticPool

from master.approvals.records import ApprovalState
from master.flows import Decision, Question
from master.niches.keywords import KeywordRow
from master.settings import Settings
from master.store.metadata import metadata
from master.store.tables import runs
from tasks import niche_analyse, niche_group, text_embed
from tasks.niche_analyse import Growth, KeywordIntent, Seasons
from tasks.record import Record
from worker.models.protocol import Generated, GenerateItem, Models, Scored, ScoreItem, Usage

COMMERCIAL = (0.1, 0.6, 0.25, 0.05)


class PassEnded(BaseException):
    """The flow waits for a step that has no answer yet."""


class FakeHandle:
    def __init__(self, key: str, result: Record | None) -> None:
        self.key = key
        self.done = result is not None
        self._result = result

    def result(self) -> Any:
        if self._result is None:
            raise PassEnded
        return self._result


class FakeFlow:
    """Answers half of the open steps after each pass, and the human after all of them."""

    def __init__(self, exports: dict[str, bytes], answer: ApprovalState) -> None:
        self.run_id = "niche-test"
        self.settings = Settings(_env_file=None)
        self.artifacts = {hashlib.sha256(data).hexdigest(): data for data in exports.values()}
        self.names: dict[str, str] = {}
        self.requests: dict[str, tuple[str, Any]] = {}
        self.questions: list[Question] = []
        self.shown: list[tuple[float, str]] = []
        self.names_when_asked: set[str] = set()
        engine = create_engine("sqlite://", poolclass=StaticPool)
        metadata.create_all(engine)
        self.connection: Connection = engine.connect()
        now = datetime(2026, 1, 1, tzinfo=UTC)
        self.connection.execute(
            insert(runs).values(
                id=self.run_id, flow="niche", params={}, state="running", woken_at=now, created_at=now
            )
        )
        self._answers: dict[str, Record] = {}
        self._acts: dict[str, Any] = {}
        self._decision: Decision | None = None
        self._answer = answer

    def run(self, function: Callable[..., dict[str, Any]], params: Record) -> dict[str, Any]:
        while True:
            try:
                return function(self, params)
            except PassEnded:
                self._answer_some()

    def _answer_some(self) -> None:
        waiting = [key for key in self.requests if key not in self._answers]
        if not waiting:
            self._decision = Decision(id="A1", state=self._answer, by="owner", note="as you say")
        for key in waiting[: max(1, len(waiting) // 2)]:
            self._answers[key] = answer_step(*self.requests[key])

    def start(self, key: str, task: Any, request: Any, *, priority: int = 0) -> FakeHandle:
        earlier = self.requests.setdefault(key, (task.name, request))
        assert earlier == (task.name, request), f"step {key} was asked for with two different requests"
        return FakeHandle(key, self._answers.get(key))

    def settle(self, handles: Sequence[FakeHandle]) -> list[FakeHandle]:
        if not all(handle.done for handle in handles):
            raise PassEnded
        return list(handles)

    def gather(self, handles: Sequence[FakeHandle]) -> list[Any]:
        return [handle.result() for handle in handles]

    def act(self, key: str, function: Callable[[Connection], Any]) -> Any:
        if key not in self._acts:
            self._acts[key] = function(self.connection)
        return self._acts[key]

    def ask(self, key: str, question: Question) -> Decision:
        self.questions.append(question)
        self.names_when_asked = set(self.names)
        if self._decision is None:
            raise PassEnded
        return self._decision

    def progress(self, fraction: float, note: str = "") -> None:
        self.shown.append((fraction, note))

    def read_artifact(self, digest: str) -> bytes:
        return self.artifacts[digest]

    def write_artifact(self, name: str, data: bytes, media_type: str) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.artifacts[digest] = data
        self.names[name] = digest
        return digest


def answer_step(task: str, request: Any) -> Record:
    """Keywords are grouped by their first word; every one wants to compare."""
    if task == text_embed.TASK.name:
        return text_embed.Result(vectors=tuple((1.0, 0.0) for _ in request.texts), model_sha256="0" * 64)
    if task == niche_group.TASK.name:
        groups: dict[str, list[int]] = {}
        for index, text in enumerate(request.texts):
            groups.setdefault(text.split()[0], []).append(index)
        return niche_group.Result(
            groups=tuple(
                niche_group.Group(members=tuple(members), label=members[0], cohesion=0.5)
                for members in groups.values()
            )
        )
    return analysis([keyword.text for keyword in request.keywords])


def analysis(
    texts: Sequence[str], growth: float = 0.1, strength: float = 0.1, intent: Any = COMMERCIAL
) -> niche_analyse.Result:
    return niche_analyse.Result(
        intents=tuple(KeywordIntent(text=text, combined=intent) for text in texts),
        growth=Growth(middle=growth, low=growth, high=growth, basis="two years"),
        seasons=Seasons(strength=strength, peak_month=5, peak_ratio=1.2),
    )


def row(text: str = "pan", low: int = 1000, high: int | None = None, **fields: Any) -> KeywordRow:
    given = {
        "competition_low": 0.5, "competition_high": 0.5, "bid_low_minor": 50, "bid_high_minor": 150,
        "currency": "EUR", "place": "f.csv:1", **fields,
    }  # fmt: skip
    return KeywordRow(text=text, volume_low=low, volume_high=low if high is None else high, **given)


def _unexpected(what: str) -> AssertionError:
    return AssertionError(
        f"a niche's handler asked for {what}: it works with scores and artifacts that are there"
    )


class FakeModels:
    """Thinks that everybody buys."""

    def __init__(self) -> None:
        self.asked: list[ScoreItem] = []
        self.usage = Usage()

    def score(self, model: str, items: Sequence[ScoreItem]) -> list[Scored]:
        self.asked += items
        return [
            Scored(
                logprobs=tuple(-5.0 + ("buy or book" in item.prompt) for _ in item.choices),
                tokens=tuple(1 for _ in item.choices),
            )
            for item in items
        ]

    def generate(self, model: str, items: Sequence[GenerateItem]) -> list[Generated]:
        raise _unexpected("a generated text")

    def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        raise _unexpected("an embedding")

    def chat_prompt(self, model: str, messages: Sequence[tuple[str, str]]) -> str:
        raise _unexpected("a chat prompt")

    def describe(self, model: str) -> dict[str, str]:
        return {"model": model, "sha256": "f" * 64}

    def describe_embedding(self, model: str) -> dict[str, str]:
        return self.describe(model)


class FakeContext:
    """One attempt of a handler."""

    attempt = 1

    def __init__(self, artifacts: dict[str, bytes] | None = None) -> None:
        self.fake_models = FakeModels()
        self.models: Models = self.fake_models
        self.artifacts = artifacts or {}

    def progress(self, fraction: float, note: str = "") -> None:
        assert 0 <= fraction <= 1

    def read_artifact(self, digest: str) -> bytes:
        return self.artifacts[digest]

    def write_artifact(self, name: str, data: bytes, media_type: str) -> str:
        raise _unexpected("an artifact to be written")

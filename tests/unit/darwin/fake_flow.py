"""A flow engine in memory: passes from the top, recorded steps, artifacts by digest."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from master.flows import StepFailed
from tasks.record import Record

#: Answers a step: task name and request in, result out; raising ``RuntimeError`` fails the step.
Answer = Callable[[str, Any], Record]


class PassEnded(BaseException):
    """An unanswered step was waited for."""


class FakeHandle:
    def __init__(self, key: str, answer: Record | str | None, seq: int) -> None:
        self.key = key
        self.seq = seq
        self._answer = answer

    @property
    def done(self) -> bool:
        return self._answer is not None

    @property
    def failed(self) -> bool:
        return isinstance(self._answer, str)

    @property
    def error(self) -> str:
        return self._answer if isinstance(self._answer, str) else ""

    def result(self) -> Record:
        if self._answer is None:
            raise PassEnded
        if isinstance(self._answer, str):
            raise StepFailed(self.key, self._answer)
        return self._answer


class FakeFlow:
    """Runs a flow to its end; ``shuffle`` decides in which order waiting steps are answered."""

    def __init__(self, answer: Answer, shuffle: int = 0, artifacts: dict[str, bytes] | None = None) -> None:
        self.run_id = "run-1"
        self.settings = SimpleNamespace(model="fake:model", embedding_model="fake:embedder")
        self.artifacts: dict[str, bytes] = {} if artifacts is None else artifacts
        self.names: dict[str, str] = {}
        self.requests: dict[str, tuple[str, Any]] = {}
        self.progressed: list[tuple[float, str]] = []
        self.passes = 0
        self._answer = answer
        self._answers: dict[str, Record | str] = {}
        self._order: list[str] = []
        self._rng = random.Random(shuffle)

    def run(self, function: Callable[[Any, Any], dict[str, Any]], params: Record) -> dict[str, Any]:
        while True:
            self.passes += 1
            try:
                return function(self, params)
            except PassEnded:
                self._answer_some()

    def _answer_some(self) -> None:
        waiting = [key for key in self.requests if key not in self._answers]
        assert waiting, "the flow waits for something that nobody was asked for"
        self._rng.shuffle(waiting)
        for key in waiting[: max(1, len(waiting) // 2)]:
            task, request = self.requests[key]
            try:
                self._answers[key] = self._answer(task, request)
            except RuntimeError as error:
                self._answers[key] = str(error)
            self._order.append(key)

    def start(self, key: str, task: Any, request: Record, *, priority: int = 0) -> FakeHandle:
        earlier = self.requests.setdefault(key, (task.name, request))
        assert earlier == (task.name, request), f"step {key} was asked for with two different requests"
        seq = self._order.index(key) if key in self._answers else -1
        return FakeHandle(key, self._answers.get(key), seq)

    def call(self, key: str, task: Any, request: Record) -> Record:
        return self.start(key, task, request).result()

    def gather(self, handles: list[FakeHandle]) -> list[Record]:
        return [handle.result() for handle in handles]

    def settle(self, handles: list[FakeHandle]) -> list[FakeHandle]:
        if not all(handle.done for handle in handles):
            raise PassEnded
        return list(handles)

    def progress(self, fraction: float, note: str) -> None:
        assert 0 <= fraction <= 1, fraction
        self.progressed.append((fraction, note))

    def read_artifact(self, sha256: str) -> bytes:
        return self.artifacts[sha256]

    def write_artifact(self, name: str, data: bytes, media_type: str) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.artifacts[digest] = data
        self.names[name] = digest
        return digest

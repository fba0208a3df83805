"""A flow context, artifacts and models that live in memory; the real handlers run against them."""

from __future__ import annotations

import hashlib
import importlib
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection

from master.approvals.records import ApprovalState
from master.flows import Decision, Question, StepFailed
from master.flows.handle import PassEnds
from master.store import Database
from tasks.record import Record
from tasks.spec import TaskSpec
from worker.models.protocol import Generated, GenerateItem, Scored, ScoreItem, Usage


class FakeModels:
    """Prefers the choice of this index (from the end if negative); writes the texts that it is given."""

    def __init__(self, prefer: int = 0, writes: Sequence[str] = ()) -> None:
        self.prefer = prefer
        self.writes = list(writes)
        self.prompts: list[str] = []
        self.usage = Usage()

    def score(self, model: str, items: Sequence[ScoreItem]) -> list[Scored]:
        self.prompts += [item.prompt for item in items]
        scored = []
        for item in items:
            wanted = range(len(item.choices))[self.prefer % len(item.choices)]
            informed = "A business." not in item.prompt
            logprobs = tuple(
                -1.0 if informed and index == wanted else -9.0 for index in range(len(item.choices))
            )
            scored.append(Scored(logprobs=logprobs, tokens=tuple(4 for _ in item.choices)))
        return scored

    def generate(self, model: str, items: Sequence[GenerateItem]) -> list[Generated]:
        texts = self.writes or ["Something that the brief never said, since 1871."]
        return [
            Generated(text=texts[index % len(texts)], tokens=9, finish="stop") for index in range(len(items))
        ]

    def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        return [[1.0] for _ in texts]

    def chat_prompt(self, model: str, messages: Sequence[tuple[str, str]]) -> str:
        return "\n".join(f"{role}: {text}" for role, text in messages) + "\nassistant:"

    def describe(self, model: str) -> dict[str, str]:
        return {"model": "fake"}


class FakeContext:
    """A handler's context."""

    def __init__(self, models: Any, artifacts: dict[str, bytes]) -> None:
        self.attempt = 1
        self.models = models
        self._artifacts = artifacts

    def progress(self, fraction: float, note: str = "") -> None:
        assert 0 <= fraction <= 1

    def read_artifact(self, digest: str) -> bytes:
        return self._artifacts[digest]

    def write_artifact(self, name: str, data: bytes, media_type: str) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self._artifacts[digest] = data
        return digest


class FakeHandle:
    def __init__(self, key: str, answer: Any) -> None:
        self.key = key
        self._answer = answer

    def result(self) -> Any:
        if self._answer is None:
            raise PassEnds
        if isinstance(self._answer, StepFailed):
            raise self._answer
        return self._answer


class FakeFleet:
    """What the engine remembers of one run, and workers that answer every step between passes."""

    def __init__(
        self,
        database: Database,
        output: Path,
        models: FakeModels | None = None,
        *,
        decisions: Iterable[Decision] = (),
        broken: Callable[[str, Record], Any] = lambda key, request: None,
    ) -> None:
        self.database = database
        self.settings = SimpleNamespace(model="fake", output=output)
        self.models = models or FakeModels()
        self.artifacts: dict[str, bytes] = {}
        self.recorded: dict[str, Any] = {}
        self.tasks: dict[str, str] = {}
        self.requests: dict[str, Record] = {}
        self.acts: dict[str, int] = {}
        self.questions: dict[str, Question] = {}
        self._decisions = list(decisions)
        self._broken = broken

    def run(self, function: Callable[[Any, Any], dict[str, Any]], params: Record) -> dict[str, Any] | None:
        """Passes until the flow ends; None when it waits for a decision that nobody has given."""
        for _ in range(60):
            one_pass = FakePass(self)
            try:
                return function(one_pass, params)
            except PassEnds:
                if not self._work(one_pass):
                    return None
        raise AssertionError("the flow does not end")

    def _work(self, one_pass: FakePass) -> bool:
        for key, (task, request) in one_pass.wanted.items():
            self.requests[key], self.tasks[key] = request, task.name
            self.recorded[key] = self._broken(key, request) or self._handle(task, request)
        if one_pass.asked is not None:
            self.questions[one_pass.asked[0]] = one_pass.asked[1]
            if not self._decisions:
                return False
            self.recorded[one_pass.asked[0]] = self._decisions.pop(0)
        return True

    def _handle(self, task: TaskSpec[Any, Any], request: Record) -> Record:
        handler = importlib.import_module(task.handler_module)
        # Through JSON, as it travels.
        sent = task.request.model_validate_json(request.model_dump_json())
        result = handler.handle(sent, FakeContext(self.models, self.artifacts))
        answer: Record = task.result.model_validate_json(result.model_dump_json())
        return answer


class FakePass:
    """One pass of a flow."""

    run_id = "client-test"

    def __init__(self, fleet: FakeFleet) -> None:
        self._fleet = fleet
        self.settings = fleet.settings
        self.wanted: dict[str, tuple[TaskSpec[Any, Any], Record]] = {}
        self.asked: tuple[str, Question] | None = None
        self._keys: set[str] = set()

    def start(self, key: str, task: TaskSpec[Any, Any], request: Record, *, priority: int = 0) -> FakeHandle:
        self._once(key)
        if key not in self._fleet.recorded:
            self.wanted[key] = (task, request)
        else:
            # A pass that asks otherwise than the one before would not be deterministic.
            assert request == self._fleet.requests[key], key
        return FakeHandle(key, self._fleet.recorded.get(key))

    def call(self, key: str, task: TaskSpec[Any, Any], request: Record) -> Any:
        return self.start(key, task, request).result()

    def gather(self, handles: Sequence[FakeHandle]) -> list[Any]:
        return [handle.result() for handle in handles]

    def ask(self, key: str, question: Question) -> Decision:
        self._once(key)
        if key not in self._fleet.recorded:
            self.asked = (key, question)
            raise PassEnds
        answer = self._fleet.recorded[key]
        assert isinstance(answer, Decision)
        return answer

    def act(self, key: str, function: Callable[[Connection], Any]) -> Any:
        self._once(key)
        if key not in self._fleet.recorded:
            with self._fleet.database.write() as connection:
                self._fleet.recorded[key] = function(connection)
            self._fleet.acts[key] = self._fleet.acts.get(key, 0) + 1
        return self._fleet.recorded[key]

    def progress(self, fraction: float, note: str = "") -> None:
        assert 0 <= fraction <= 1

    def read_artifact(self, digest: str) -> bytes:
        return self._fleet.artifacts[digest]

    def random(self, key: str) -> random.Random:
        return random.Random(f"{self.run_id}:{key}")

    def _once(self, key: str) -> None:
        assert key not in self._keys, f"{key} asked for twice in one pass"
        self._keys.add(key)


def decided(state: ApprovalState, note: str = "") -> Decision:
    return Decision(id="a1", state=state, by="ana", note=note)

"""What a flow function is given: it asks for steps by name and gets what was recorded."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NoReturn, TypeVar

from sqlalchemy import Connection

from master.approvals.records import Decision, Question
from master.clock import utc_now
from master.dispatch.create import NewStep
from master.dispatch.states import OPEN_STEPS, StepKind, StepState
from master.flows.handle import Effects, Handle, Kept, PassEnds, Recorded, StepFailed
from master.settings import Settings
from tasks.errors import D8Error
from tasks.needs import Needs
from tasks.record import Record
from tasks.spec import TaskSpec

Req = TypeVar("Req", bound=Record)
Res = TypeVar("Res", bound=Record)


class FlowContext:
    """One pass of one run."""

    def __init__(
        self,
        run_id: str,
        settings: Settings,
        recorded: Iterable[Recorded],
        effects: Effects,
        *,
        carried: dict[str, Any] | None = None,
        now: datetime | None = None,
    ) -> None:
        self.run_id = run_id
        self.settings = settings
        #: What an earlier pass has kept; empty at first. Not to be changed in place.
        self.carried: dict[str, Any] = carried or {}
        #: When this pass began. The next pass sees another time: what depends on it must be kept.
        self.now = utc_now() if now is None else now
        self.kept: Kept | None = None
        self.recorded = {step.key: step for step in recorded}
        self._effects = effects
        self._asked: set[str] = set()
        # What the pass wants; the engine writes it down when the pass ends.
        self.new_steps: dict[str, NewStep] = {}
        self.new_questions: dict[str, Question] = {}
        # Open ones that are now asked otherwise.
        self.changed_questions: dict[str, Question] = {}
        self.awaited: frozenset[str] = frozenset()
        self.wake_on = "all"
        self.shown: tuple[float, str] | None = None

    def start(
        self,
        key: str,
        task: TaskSpec[Req, Res],
        request: Req,
        *,
        priority: int = 0,
        needs: Needs | None = None,
        only_worker: str = "",
    ) -> Handle[Res]:
        """Ask for a step; does not wait. Asking under a recorded key gives what was recorded.

        ``needs``: what it asks of a machine, instead of what its task does. ``only_worker``: no other
        worker may run it.
        """
        recorded = self._ask(key, StepKind.TASK)
        if recorded is None:
            self.new_steps[key] = NewStep(
                key=key,
                task=task.name,
                request=request.model_dump_json(),
                lanes=task.lanes,
                priority=priority,
                max_attempts=task.max_attempts,
                deadline_s=task.deadline_s,
                awaited=False,
                needs=task.needs if needs is None else needs,
                only_worker=only_worker,
            )
        return Handle(self, key, task.result, recorded)

    def call(
        self,
        key: str,
        task: TaskSpec[Req, Res],
        request: Req,
        *,
        priority: int = 0,
        needs: Needs | None = None,
        only_worker: str = "",
    ) -> Res:
        """Ask for a step and wait for its result."""
        handle = self.start(key, task, request, priority=priority, needs=needs, only_worker=only_worker)
        return handle.result()

    def recall(self, key: str, task: TaskSpec[Req, Res]) -> Handle[Res]:
        """A step that this run has asked for already, without saying again what for. ``D8Error`` if it
        has not, or if it was folded."""
        recorded = self._ask(key, StepKind.TASK)
        if recorded is None:
            raise D8Error(
                f"flow of run {self.run_id} recalls step {key!r}, which it has not asked for or has folded: "
                "what it carries does not fit its steps"
            )
        return Handle(self, key, task.result, recorded)

    def gather(self, handles: Sequence[Handle[Res]]) -> list[Res]:
        """All results, in the handles' order. ``StepFailed`` as soon as one has failed."""
        for handle in handles:
            if handle.failed:
                handle.result()
        self.settle(handles)
        return [handle.result() for handle in handles]

    def settle(self, handles: Sequence[Handle[Res]]) -> list[Handle[Res]]:
        """Wait until all have ended, well or not."""
        open_keys = [handle.key for handle in handles if not handle.done]
        if open_keys:
            self.await_steps(open_keys, "all")
        return list(handles)

    def settle_any(self, handles: Sequence[Handle[Res]]) -> Handle[Res]:
        """Wait for at least one; returns the one that ended first, in the recorded order."""
        ended = [handle for handle in handles if handle.done]
        if not ended:
            self.await_steps([handle.key for handle in handles], "any")
        return min(ended, key=lambda handle: handle.seq)

    def ask(self, key: str, question: Question) -> Decision:
        """Ask the human and wait, for days if need be; the same question is asked once.

        Asked otherwise while it is open, it becomes a new revision; asked otherwise after it was
        answered, it is a new question: a yes is good for exactly what was asked.
        """
        recorded = self._ask(key, StepKind.APPROVAL)
        if recorded is not None and recorded.request_digest not in ("", question.digest()):
            if recorded.state not in OPEN_STEPS:
                return self.ask(f"{key}@{question.digest()[:8]}", question)
            self.changed_questions[key] = question
        if recorded is None:
            self.new_questions[key] = question
        if recorded is None or recorded.state in OPEN_STEPS:
            self.await_steps([key], "all")
        if recorded.state is not StepState.DONE:
            raise StepFailed(key, "the question was cancelled")
        return Decision.model_validate_json(recorded.result)

    def act(self, key: str, function: Callable[[Connection], Any]) -> Any:
        """Run ``function`` once, in the transaction that records its JSON result."""
        recorded = self._ask(key, StepKind.ACT)
        if recorded is None:
            return self._effects.act(key, function)
        return json.loads(recorded.result)

    def keep(
        self,
        state: dict[str, Any],
        *,
        folded: Iterable[str] = (),
        also: Callable[[Connection], None] | None = None,
    ) -> None:
        """Leave ``state`` (JSON) to the next pass, which finds it as ``carried``.

        For runs of thousands of steps: a pass that had to look at all of them again would make the
        run's cost grow with its square. ``folded`` are ended steps that ``state`` accounts for; they
        stay for people to see, and asking for one again is a fault of the flow. State, folds, ``also``
        and the pass's new steps are one transaction, of which a pass that is overtaken has no part: so
        each outcome is accounted for once. The last call of a pass counts.
        """
        self.kept = Kept(state=state, folded=tuple(folded), also=also)

    def read(self, function: Callable[[Connection], Any]) -> Any:
        """Look something up. Another pass may find something else: what depends on it must be kept."""
        return self._effects.read(function)

    def progress(self, fraction: float, note: str = "") -> None:
        """How far the run is (0..1), and what it does, for people."""
        self.shown = (min(1.0, max(0.0, fraction)), note[:300])

    def read_artifact(self, digest: str) -> bytes:
        return self._effects.read_artifact(digest)

    def write_artifact(self, name: str, data: bytes, media_type: str) -> str:
        """Keep bytes under their SHA-256, which is returned; harmless to repeat."""
        return self._effects.write_artifact(name, data, media_type)

    def random(self, key: str) -> random.Random:
        """Random numbers that are the same in every pass of this run."""
        return random.Random(f"{self.run_id}\0{key}")

    def await_steps(self, keys: Sequence[str], wake_on: str) -> NoReturn:
        """End this pass; the next is due when all, or any, of these have ended."""
        self.awaited = frozenset(keys)
        self.wake_on = wake_on
        raise PassEnds

    def _ask(self, key: str, kind: StepKind) -> Recorded | None:
        if key in self._asked:
            raise D8Error(
                f"flow of run {self.run_id} asks for two steps called {key!r}: give each a key of its own"
            )
        self._asked.add(key)
        recorded = self.recorded.get(key)
        if recorded is not None and recorded.kind is not kind:
            raise D8Error(
                f"step {key!r} of run {self.run_id} is recorded as {recorded.kind} and now asked for as {kind}: "
                f"give the new step a new key"
            )
        return recorded

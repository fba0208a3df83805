"""An evolution on the fleet: keeps a number of steps in flight and tells the engine how they ended.

A pass tells what has ended since the last one, in the recorded order, and asks for as much again. What it
carries to the next pass is the engine's snapshot and the questions in flight, so a pass costs the same at
the ten-thousandth evaluation as at the tenth. Snapshot, rows, folds and new steps are one transaction: a
pass that is killed has told nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from master.darwin.answers import Answer, find_answers, keep_answers
from master.darwin.engines.protocol import Engine, Evaluation, Failed, Outcome, Trial, Variation, Wish
from master.darwin.judging import Answered, Judge, Proposer, Question
from master.darwin.records import Told, save_candidates, save_tells
from master.darwin.tally import Limits, Tally
from master.flows import FlowContext, Handle

G = TypeVar("G")

#: A question whose answers fail is asked so often, beside the attempts that each step has.
_ASKED_AT_MOST = 3


class Campaign(Generic[G]):
    """One pass of it. ``state`` is what ``keep`` left in the pass before, or empty."""

    def __init__(
        self,
        ctx: FlowContext,
        engine: Engine[G],
        variation: Variation[G],
        judge: Judge[G],
        proposers: Mapping[str, Proposer],
        limits: Limits,
        state: Mapping[str, Any],
    ) -> None:
        self._ctx = ctx
        self._engine = engine
        self._variation = variation
        self._judge = judge
        self._proposers = proposers
        self._limits = limits
        self.tally = Tally.load(state.get("tally", {}))
        #: Step key -> questions in it, each an ask's number and examples.
        self._lots: dict[str, list[tuple[int, tuple[int, ...]]]] = {
            key: [(number, tuple(examples)) for number, examples in lot]
            for key, lot in state.get("lots", {}).items()
        }
        self._wishes: dict[str, Wish] = {
            key: Wish(number=number, kind=kind, request=request)
            for key, (number, kind, request) in state.get("wishes", {}).items()
        }
        #: Ask number -> answers so far, of questions that were answered in part.
        self._parts: dict[int, dict[int, Answer]] = {
            int(number): {int(at): Answer.load(one) for at, one in part.items()}
            for number, part in state.get("parts", {}).items()
        }
        #: Ask number -> how often it was asked again.
        self._tries: dict[int, int] = {int(number): tries for number, tries in state.get("tries", {}).items()}
        #: Places in the order of asking, and numbers, of asks whose answers were all known.
        self._known: list[tuple[int, int]] = [(at, number) for at, number in state.get("known", [])]
        #: Questions to be asked once more, alone.
        self._again: list[tuple[int, tuple[int, ...]]] = []
        self._folded: list[str] = []
        self._handles: dict[str, Handle[Any]] = {}
        self._new_candidates: list[tuple[Any, Any]] = []
        self._tells: list[Told] = []
        self._answers: dict[str, Answer] = {}

    def advance(self) -> bool:
        """Tell what has ended, ask for more. True when all is told and nothing more will be asked."""
        for key, wish in self._wishes.items():
            self._handles[key] = self._proposers[wish.kind].recall(self._ctx, key)
        for key in self._lots:
            self._handles[key] = self._judge.recall(self._ctx, key)
        ended = sorted((one for one in self._handles.values() if one.done), key=lambda one: one.seq)
        for handle in ended:
            self._settle(handle)
            self._fill()
        self._fill()
        return not self._handles and not self._known

    @property
    def in_flight(self) -> list[str]:
        """Keys of the steps that have not ended."""
        return list(self._handles)

    def state(self) -> dict[str, Any]:
        """For the next pass."""
        return {
            "engine": self._engine.snapshot(),
            "tally": self.tally.dump(),
            "lots": {key: [[number, list(at)] for number, at in lot] for key, lot in self._lots.items()},
            "wishes": {
                key: [wish.number, wish.kind, dict(wish.request)] for key, wish in self._wishes.items()
            },
            "known": [list(one) for one in self._known],
            "parts": {
                number: {at: answer.dump() for at, answer in part.items()}
                for number, part in self._parts.items()
            },
            "tries": self._tries,
        }

    @property
    def folded(self) -> list[str]:
        """Keys of the steps that this pass has accounted for."""
        return list(self._folded)

    def save(self, connection: Connection) -> None:
        """The rows of this pass."""
        now: datetime = self._ctx.now
        save_candidates(connection, self._ctx.run_id, self._new_candidates)
        save_tells(connection, self._ctx.run_id, self._tells, now)
        keep_answers(connection, self._ctx.run_id, self._answers, now)

    # Telling.

    def _settle(self, handle: Handle[Any]) -> None:
        key = handle.key
        del self._handles[key]
        self._folded.append(key)
        if key in self._wishes:
            self._settle_wish(key, handle)
            return
        lot = self._lots.pop(key)
        if handle.failed:
            self._settle_failure(handle, lot)
            return
        questions = [
            Question(trial=self._engine.open_trial(number), examples=examples) for number, examples in lot
        ]
        found, cost = self._judge.read(handle, questions)
        self.tally.charge(cost)
        for question, answered in zip(questions, found, strict=True):
            self._settle_question(question, answered)

    def _settle_wish(self, key: str, handle: Handle[Any]) -> None:
        wish = self._wishes.pop(key)
        if handle.failed:
            self._tell(wish.number, wish.number, Failed(error=handle.error))
            return
        proposed, cost = self._proposers[wish.kind].read(handle, wish)
        self.tally.charge(cost)
        self._tell(wish.number, wish.number, proposed)

    def _settle_failure(self, handle: Handle[Any], lot: list[tuple[int, tuple[int, ...]]]) -> None:
        """The step failed for good. In a lot, one question may have spoiled the others: each is asked alone."""
        if len(lot) > 1:
            self._again.extend(lot)
            return
        number, _ = lot[0]
        self._fail(number, handle.error)

    def _fail(self, number: int, error: str) -> None:
        trial = self._engine.open_trial(number)
        self._parts.pop(number, None)
        self._tries.pop(number, None)
        self._tell(number, trial.candidate.number, Failed(error=error))

    def _settle_question(self, question: Question[G], answered: Answered) -> None:
        trial = question.trial
        for example, answer in answered.answers.items():
            if key := self._judge.key(trial, example):
                self._answers[key] = answer
        part = {**self._parts.pop(trial.number, {}), **answered.answers}
        missing = tuple(example for example in trial.examples if example not in part)
        if not missing:
            self._tries.pop(trial.number, None)
            self._tell(trial.number, trial.candidate.number, _evaluation(trial, part))
            return
        tries = self._tries.get(trial.number, 1)
        if not answered.transient or tries >= _ASKED_AT_MOST:
            self._fail(trial.number, next(iter(answered.failures.values()), "no answer was given"))
            return
        self._tries[trial.number] = tries + 1
        self._parts[trial.number] = part
        self._again.append((trial.number, missing))

    def _tell(self, number: int, candidate: int, outcome: Outcome, *, cached: bool = False) -> None:
        self._engine.tell(number, outcome)
        leader = self._engine.leader()
        told = self.tally.tell(number, outcome, cached=cached)
        self._tells.append(
            Told(
                told=told.at,
                number=number,
                asked_after=told.asked_after,
                candidate=candidate,
                outcome=outcome,
                best=leader[1] if leader else None,
                cached=cached,
            )
        )

    # Asking.

    def _fill(self) -> None:
        while True:
            if len(self._handles) + len(self._known) < self._limits.parallel and self._ask_more():
                continue
            if not self._tell_known():
                return

    def _ask_more(self) -> bool:
        if not self._again:
            return self._ask_lot()
        number, examples = self._again.pop(0)
        self._start([Question(trial=self._engine.open_trial(number), examples=examples)])
        return True

    def _tell_known(self) -> bool:
        """Tell the oldest ask whose answers were known, if it is its turn: when all that was asked before
        it has ended, as it would have been on one worker, so that an evolution is the same with known
        answers as without; or when a slot would be idle otherwise."""
        if not self._known:
            return False
        place, number = self._known[0]
        if len(self._handles) >= self._limits.slots and any(_place(key) < place for key in self._handles):
            return False
        del self._known[0]
        trial = self._engine.open_trial(number)
        evaluation = _evaluation(trial, self._parts.pop(number))
        self._tell(number, trial.candidate.number, evaluation, cached=True)
        return True

    def _ask_lot(self) -> bool:
        """Start a step for the engine's next asks. False when it asks nothing."""
        lot: list[Question[G]] = []
        asked = False
        while len(lot) < self._judge.lot and not self.tally.closed(self._limits, len(self._handles)):
            ask = self._engine.ask()
            if ask is None:
                break
            asked = True
            self.tally.ask(ask.number)
            if isinstance(ask, Wish):
                self._start_wish(ask)
                break
            question = self._question(ask)
            if question is None:
                break
            lot.append(question)
        if lot:
            self._start(lot)
        return asked

    def _question(self, trial: Trial[G]) -> Question[G] | None:
        """What is not known yet of it; None when all is."""
        self._new_candidates.append((trial.candidate, self._variation.dump(trial.candidate.genome)))
        keys = {example: self._judge.key(trial, example) for example in trial.examples}
        known: dict[str, Answer] = {key: self._answers[key] for key in keys.values() if key in self._answers}
        wanted = [key for key in keys.values() if key and key not in known]
        if wanted:
            known |= self._ctx.read(partial(find_answers, keys=wanted))
        part = {example: known[key] for example, key in keys.items() if key in known}
        if part:
            self._parts[trial.number] = part
        if len(part) == len(trial.examples):
            self._known.append((self.tally.next_step(), trial.number))
            return None
        return Question(
            trial=trial, examples=tuple(example for example in trial.examples if example not in part)
        )

    def _start(self, lot: list[Question[G]]) -> None:
        key = f"evaluate:{self.tally.next_step()}"
        self._lots[key] = [(one.trial.number, one.examples) for one in lot]
        self._handles[key] = self._judge.start(self._ctx, key, lot)

    def _start_wish(self, wish: Wish) -> None:
        key = f"{wish.kind}:{self.tally.next_step()}"
        self._wishes[key] = wish
        self._handles[key] = self._proposers[wish.kind].start(self._ctx, key, wish)


def _place(key: str) -> int:
    return int(key.rpartition(":")[2])


def _evaluation(trial: Trial[Any], part: Mapping[int, Answer]) -> Evaluation:
    found = [part[example] for example in trial.examples]
    return Evaluation(
        scores=tuple(one.score for one in found),
        objectives=found[0].objectives,
        tokens=sum(one.tokens for one in found),
        seconds=sum(one.seconds for one in found),
        feedback=tuple(one.feedback for one in found if one.feedback),
    )

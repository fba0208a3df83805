"""Candidates judged by a program: several to a step, so that the sandbox is started once for all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from master.darwin.answers import Answer
from master.darwin.engines.protocol import Trial, Variation
from master.darwin.environment import Environment
from master.darwin.judging import Answered, Question
from master.darwin.tally import Cost
from master.flows import FlowContext, Handle
from tasks import darwin_environment
from tasks.darwin_environment import Outcome, Request, Result
from tasks.needs import Needs
from tasks.python_execute import DOCKER, Limits

G = TypeVar("G")


class EnvironmentJudge(Generic[G]):
    """``master.darwin.judging.Judge``."""

    def __init__(
        self,
        *,
        variation: Variation[G],
        environment: Environment,
        program: str,
        lot: int,
        seconds: float,
        trusted: bool,
        repeatable: bool,
    ) -> None:
        self._variation = variation
        self._goals = environment.goals
        #: sha256 of the program's artifact.
        self._program = program
        self.lot = lot
        self._seconds = seconds
        self._trusted = trusted
        self._repeatable = repeatable

    def key(self, trial: Trial[G], example: int) -> str:
        if not self._repeatable:
            return ""
        text = json.dumps(["environment", self._program, trial.candidate.digest, example])
        return hashlib.sha256(text.encode()).hexdigest()

    def start(self, ctx: FlowContext, key: str, lot: Sequence[Question[G]]) -> Handle[Result]:
        genomes = [self._variation.dump(one.trial.candidate.genome) for one in lot]
        return ctx.start(
            key, darwin_environment.TASK, self.request(genomes), needs=environment_needs(self._trusted)
        )

    def request(self, genomes: Sequence[Any]) -> Request:
        """The request that scores these genomes."""
        return Request(
            program=self._program,
            genomes=tuple(genomes),
            objectives=len(self._goals),
            seconds=self._seconds,
            trusted=self._trusted,
            limits=Limits(
                seconds=min(3600.0, self._seconds * len(genomes) + 30),
                output_bytes=min(4 * 2**20, 65_536 + 4096 * len(genomes)),
            ),
        )

    def recall(self, ctx: FlowContext, key: str) -> Handle[Result]:
        return ctx.recall(key, darwin_environment.TASK)

    def read(self, handle: Handle[Result], lot: Sequence[Question[G]]) -> tuple[list[Answered], Cost]:
        result = handle.result()
        found = [
            self._answered(question, outcome) for question, outcome in zip(lot, result.outcomes, strict=True)
        ]
        return found, Cost(seconds=result.seconds)

    def _answered(self, question: Question[G], outcome: Outcome) -> Answered:
        (example,) = question.examples
        if outcome.error:
            # The program has seen the genome and refused it: it would do so again.
            return Answered(answers={}, failures={example: outcome.error})
        values = tuple(
            value if goal == "max" else -value
            for value, goal in zip(outcome.values, self._goals, strict=True)
        )
        answer = Answer(
            score=values[0], objectives=values if len(values) > 1 else (), seconds=outcome.seconds
        )
        return Answered(answers={example: answer})


def environment_needs(trusted: bool) -> Needs:
    """A machine with Docker, unless the owner trusts the program."""
    return Needs(executor="" if trusted else DOCKER, memory_mib=Limits().memory_mib)

"""GEPA behind asks and tells. Pure.

A round of its evaluations is cut into blocks and asked at once, and the rewriting of an instruction is a wish
that a capable model grants. With several proposals a round has as many wishes, so that a fleet has
something to do while it waits for one of them. A candidate of which an example failed for good is not scored:
to GEPA it is worse than everything, and so it is never accepted.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from master.darwin.engines.book import Book
from master.darwin.engines.gepa_replay import COMPONENT, Texts, Wanted, run
from master.darwin.engines.population import Population
from master.darwin.engines.protocol import Ask, Evaluation, Failed, Outcome, Proposed, Trial, Variation, Wish
from master.darwin.engines.rules import Rules
from tasks.errors import InvalidInput

#: Candidates that answered everything, kept to be shown.
_SHOWN = 10
_FAILED = (-math.inf, "")
_SPENT = "GEPA has spent its metric calls"


class Gepa(Population[Any]):
    """``master.darwin.engines.protocol.Engine`` of genomes that have an instruction."""

    def __init__(self, variation: Variation[Any], rules: Rules) -> None:
        self._variation = variation
        self._rules = rules
        self._book = Book(variation, rules.budget)
        self._population = []
        self._first = []
        self._examples = tuple(example for block in rules.blocks for example in block)
        self._block = max(len(block) for block in rules.blocks)
        self._base: Any = None
        #: Text -> the number of its candidate; example -> score and feedback by text.
        self._numbers: dict[str, int] = {}
        self._answers: dict[str, dict[int, tuple[float, str]]] = {}
        #: Digest of text and mistakes -> new text.
        self._rewrites: dict[str, str] = {}
        #: What the last playback wants and is not asked yet.
        self._trials: list[tuple[str, tuple[int, ...]]] = []
        self._rewritings: list[tuple[str, tuple[str, ...]]] = []
        #: Ask number -> text, and digest of text and mistakes.
        self._wishes: dict[int, tuple[str, str]] = {}
        self._over = ""

    # What the library asks of us.

    def answer(self, texts: Texts, example: int) -> tuple[float, str] | None:
        return self._answers.get(texts[COMPONENT], {}).get(example)

    def rewritten(self, texts: Texts, mistakes: tuple[str, ...]) -> str | None:
        if not mistakes:
            return texts[COMPONENT]
        return self._rewrites.get(_key(texts[COMPONENT], mistakes))

    # Asking.

    def ask(self) -> Ask[Any] | None:
        if self.finished:
            return None
        wanted = self._trials or self._rewritings
        if not wanted and not self._book.pending and not self._wishes:
            self._play()
        if self._rewritings:
            return self._next_rewriting()
        return self._next_trial() if self._trials else None

    def _play(self) -> None:
        try:
            run(
                self,
                {COMPONENT: self._first_genome().instruction},
                self._examples,
                self._examples,
                seed=self._rules.seed,
                # It counts examples, and those that were known already, too: our own budget is to end it.
                most_metric_calls=4 * self._rules.budget * self._block,
                proposals=self._rules.proposals,
            )
        except Wanted as wanted:
            # Two tasks of a round may be the same text and mistakes: that is one question.
            known = dict.fromkeys((texts[COMPONENT], mistakes) for texts, mistakes in wanted.rewrites)
            self._rewritings = list(known)
            for texts, examples in wanted.trials:
                for at in range(0, len(examples), self._block):
                    self._trials.append((texts[COMPONENT], examples[at : at + self._block]))
            return
        self._over = _SPENT

    def _first_genome(self) -> Any:
        if self._base is None:
            self._base = self._variation.seeds(1, self._rules.seed)[0]
        return self._base

    def _next_trial(self) -> Trial[Any]:
        text, examples = self._trials.pop(0)
        number = self._book.number()
        if text not in self._numbers:
            genome = self._first_genome().model_copy(update={COMPONENT: text})
            self._numbers[text] = number
            by = "gepa" if self._first else "seed"
            self._book.admit_proposed(number, genome, by=by, best=self._population)
            if not self._first:
                self._first.append(number)
        return self._book.trial(number, self._numbers[text], examples)

    def _next_rewriting(self) -> Wish:
        text, mistakes = self._rewritings.pop(0)
        number = self._book.number()
        self._wishes[number] = (text, _key(text, mistakes))
        genome = self._first_genome().model_copy(update={COMPONENT: text})
        return Wish(
            number=number,
            kind="reflect",
            request={
                "candidate": self._numbers[text],
                "genome": self._variation.dump(genome),
                "feedback": list(mistakes),
            },
        )

    # Being told.

    def tell(self, number: int, outcome: Outcome) -> None:
        if number in self._wishes:
            self._told_wish(*self._wishes.pop(number), outcome)
            return
        candidate, examples = self._book.told(number)
        text = next(text for text, at in self._numbers.items() if at == candidate)
        answers = self._answers.setdefault(text, {})
        if isinstance(outcome, Evaluation):
            self._book.successes += 1
            entry = self._book.entries[candidate]
            entry.learn(examples, outcome)
            feedback = outcome.feedback or ("",) * len(examples)
            # Feedback is of mistakes alone: it goes to the examples that were not entirely right.
            wrong = iter(feedback)
            for example, score in zip(examples, outcome.scores, strict=True):
                answers[example] = (score, next(wrong, "") if score < 1 else "")
            self._rank(candidate)
        else:
            error = outcome.error if isinstance(outcome, Failed) else "no answer"
            self._book.fail(candidate, error)
            if candidate in self._first:
                self._over = f"the first prompt cannot be evaluated: {error}"
            answers.update(dict.fromkeys(examples, _FAILED))

    def _told_wish(self, text: str, key: str, outcome: Outcome) -> None:
        self._rewrites[key] = text
        if isinstance(outcome, Proposed):
            for data in outcome.genomes[:1]:
                try:
                    self._rewrites[key] = self._variation.load(data).instruction
                except InvalidInput:
                    continue

    def _rank(self, candidate: int) -> None:
        """Those that have answered everything, best first."""
        entries = self._book.entries
        if len(entries[candidate].scores) == len(self._examples) and candidate not in self._population:
            self._population.append(candidate)
        self._population.sort(key=lambda at: (-entries[at].mean, at))
        del self._population[_SHOWN:]

    @property
    def finished(self) -> bool:
        return bool(self._over) or self._book.spent >= self._book.budget

    def snapshot(self) -> dict[str, Any]:
        return {
            **self._book.snapshot(),
            "population": list(self._population),
            "first": list(self._first),
            "numbers": self._numbers,
            "answers": {
                text: [
                    [at, None if math.isinf(score) else score, told] for at, (score, told) in known.items()
                ]
                for text, known in self._answers.items()
            },
            "rewrites": self._rewrites,
            "trials": [[text, list(examples)] for text, examples in self._trials],
            "rewritings": [[text, list(mistakes)] for text, mistakes in self._rewritings],
            "wishes": [[number, text, key] for number, (text, key) in self._wishes.items()],
            # An ask that came to nothing is not recorded, so what it found out is no part of the state.
            "over": "" if self._over == _SPENT else self._over,
        }

    @classmethod
    def restore(cls, variation: Variation[Any], rules: Rules, data: Mapping[str, Any]) -> Gepa:
        made = cls(variation, rules)
        made._book.restore(data)
        made._population, made._first = list(data["population"]), list(data["first"])
        made._numbers = dict(data["numbers"])
        made._answers = {
            text: {example: (-math.inf if score is None else score, told) for example, score, told in known}
            for text, known in data["answers"].items()
        }
        made._rewrites = dict(data["rewrites"])
        made._trials = [(text, tuple(examples)) for text, examples in data["trials"]]
        made._rewritings = [(text, tuple(mistakes)) for text, mistakes in data["rewritings"]]
        made._wishes = {number: (text, key) for number, text, key in data["wishes"]}
        made._over = data["over"]
        return made


def _key(text: str, mistakes: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps([text, list(mistakes)]).encode()).hexdigest()

"""GEPA behind asks and tells. Pure.

A round of its evaluations is cut into blocks and asked at once, and the rewriting of an instruction is a wish
that a capable model grants. A candidate of which an example failed for good is not scored: to GEPA it is
worse than everything, and so it is never accepted.
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
        self._wish: tuple[int, str, str] | None = None
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
        if not self._trials and not self._book.pending and self._wish is None:
            return self._play()
        return self._next_trial() if self._trials else None

    def _play(self) -> Ask[Any] | None:
        try:
            run(
                self,
                {COMPONENT: self._first_genome().instruction},
                self._examples,
                self._examples,
                seed=self._rules.seed,
                # It counts examples, and those that were known already, too: our own budget is to end it.
                most_metric_calls=4 * self._rules.budget * self._block,
            )
        except Wanted as wanted:
            if wanted.rewrite is not None:
                return self._ask_rewrite(*wanted.rewrite)
            for texts, examples in wanted.trials:
                for at in range(0, len(examples), self._block):
                    self._trials.append((texts[COMPONENT], examples[at : at + self._block]))
            return self._next_trial()
        self._over = _SPENT
        return None

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

    def _ask_rewrite(self, texts: Texts, mistakes: tuple[str, ...]) -> Wish:
        number = self._book.number()
        text = texts[COMPONENT]
        self._wish = (number, text, _key(text, mistakes))
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
        if self._wish is not None and number == self._wish[0]:
            self._told_wish(outcome)
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

    def _told_wish(self, outcome: Outcome) -> None:
        assert self._wish is not None
        _, text, key = self._wish
        self._wish = None
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
            "wish": list(self._wish) if self._wish else None,
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
        made._wish = tuple(data["wish"]) if data["wish"] else None
        made._over = data["over"]
        return made


def _key(text: str, mistakes: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps([text, list(mistakes)]).encode()).hexdigest()

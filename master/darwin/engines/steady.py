"""The default engine: a steady-state genetic algorithm that never waits. Pure.

There are no generations. Whenever there is room for another evaluation a child is bred from whoever holds
a place in the population now, and from those that are still under evaluation: a population of only those
that have answered favors genomes that answer fast (E. Scott and K. De Jong, "Understanding simple
asynchronous evolutionary algorithms", FOGA 2015). Where there are several blocks of examples, a child
races for its place (``master.darwin.racing``) and may lose after the first; the leader is tested again
and again. With one block, or with several objectives, it takes the place of the worst.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from master.darwin import racing
from master.darwin.chance import source
from master.darwin.engines import pareto
from master.darwin.engines.book import Book, Entry
from master.darwin.engines.breed import child, tournament
from master.darwin.engines.objectives import Objectives, point
from master.darwin.engines.population import Population
from master.darwin.engines.protocol import (
    Ask,
    Candidate,
    Evaluation,
    Failed,
    Outcome,
    Proposed,
    Variation,
    Wish,
)
from master.darwin.engines.rules import Rules
from tasks.errors import InvalidInput

G = TypeVar("G")


class SteadyState(Population[G]):
    """See the module's text. ``master.darwin.engines.protocol.Engine``."""

    def __init__(self, variation: Variation[G], rules: Rules) -> None:
        self._variation = variation
        self._rules = rules
        self._book = Book(variation, rules.budget)
        self._seeds: Sequence[G] | None = None
        self._given = 0
        self._population = []
        #: Candidates that are to answer these blocks next.
        self._waiting: list[tuple[int, int]] = []
        #: Ask number -> the candidate that a model is asked to rewrite.
        self._wishes: dict[int, int] = {}
        #: Candidates and wishes so far: there are never more wishes, so that those that come to nothing,
        #: and cost no evaluation, come to an end.
        self._born = 0
        self._wished = 0
        self._first = []
        self._race = racing.Rules(blocks=len(rules.blocks), places=rules.places, alpha=rules.alpha)

    # Asking.

    def ask(self) -> Ask[G] | None:
        book = self._book
        if book.spent >= book.budget:
            return None
        if self._waiting:
            candidate, block = self._waiting.pop(0)
            return book.trial(book.number(), candidate, self._rules.blocks[block])
        number = book.number()
        rng = source(self._rules.seed, "ask", number)
        if self._given < self._rules.population:
            born = self._seed(number)
        elif (parent := self._to_reflect_on(rng)) is not None:
            return self._wish(number, parent)
        else:
            born = self._child(number, rng)
        return self._enter(number, born)

    def _enter(self, number: int, born: Candidate[G]) -> Ask[G]:
        """The first trial of a new candidate. Each begins with another block, in turn."""
        self._book.admit(born)
        self._born += 1
        block = born.number % len(self._rules.blocks)
        return self._book.trial(number, born.number, self._rules.blocks[block])

    def _seed(self, number: int) -> Candidate[G]:
        if self._seeds is None:
            self._seeds = self._variation.seeds(self._rules.population, self._rules.seed)
        genome = self._seeds[self._given]
        self._given += 1
        self._first.append(number)
        return Candidate(
            number=number,
            genome=genome,
            digest=self._variation.digest(genome),
            parents=(),
            operators=("seed",),
        )

    def _child(self, number: int, rng: random.Random) -> Candidate[G]:
        born, unborn = self._breeders()
        if not born and not unborn:
            genome = self._variation.newcomer(rng)
            digest = self._variation.digest(genome)
            return Candidate(number=number, genome=genome, digest=digest, parents=(), operators=("newcomer",))

        def choose(chance: random.Random) -> Candidate[G]:
            if unborn and (not born or chance.random() < self._rules.unborn_parents):
                return self._book.entries[chance.choice(unborn)].candidate
            return self._book.entries[tournament(born, self._rules.breeding.tournament, chance)].candidate

        return child(number, choose, self._book.knows, self._variation, self._rules.breeding, rng)

    def _breeders(self) -> tuple[list[int], list[int]]:
        """Who holds a place, best first; and who is still under evaluation."""
        held = set(self._population)
        asked = dict.fromkeys(at for at, _ in self._book.pending.values())
        return self._population, [at for at in asked if at not in held]

    def _to_reflect_on(self, rng: random.Random) -> Entry[G] | None:
        """One of the population that has made mistakes, if it is a model's turn to write."""
        if not self._population or rng.random() >= self._rules.reflect or self._wished >= self._born:
            return None
        parent = self._book.entries[tournament(self._population, 2, rng)]
        return parent if parent.feedback else None

    def _wish(self, number: int, parent: Entry[G]) -> Wish:
        self._wishes[number] = parent.number
        self._wished += 1
        return Wish(
            number=number,
            kind="reflect",
            request={
                "candidate": parent.number,
                "genome": self._variation.dump(parent.candidate.genome),
                "feedback": list(parent.feedback),
            },
        )

    # Being told.

    def tell(self, number: int, outcome: Outcome) -> None:
        if number in self._wishes:
            self._told_wish(number, outcome)
        else:
            candidate, examples = self._book.told(number)
            if isinstance(outcome, Evaluation):
                self._book.successes += 1
                entry = self._book.entries.get(candidate)
                if entry is not None:
                    entry.learn(examples, outcome)
                    self._judge(candidate)
            else:
                self._fail(candidate, outcome.error if isinstance(outcome, Failed) else "no answer")
        self._book.forget(self._wanted())

    def _told_wish(self, number: int, outcome: Outcome) -> None:
        parent = self._wishes.pop(number)
        if not isinstance(outcome, Proposed):
            return
        for data in outcome.genomes[:1]:
            try:
                genome = self._variation.load(data)
            except InvalidInput:
                continue
            digest = self._variation.digest(genome)
            if not self._book.knows(digest):
                # It bears the number of the wish, so that there is one candidate to an ask.
                self._book.admit(
                    Candidate(
                        number=number,
                        genome=genome,
                        digest=digest,
                        parents=(parent,),
                        operators=("reflect",),
                    )
                )
                self._waiting.append((number, number % len(self._rules.blocks)))

    def _fail(self, candidate: int, error: str) -> None:
        """Its evaluation cannot be had. One that holds a place keeps it with what it has answered."""
        if candidate in self._population or candidate not in self._book.entries:
            self._book.failures += 1
            return
        self._book.fail(candidate, error)
        self._waiting = [one for one in self._waiting if one[0] != candidate]

    def _judge(self, candidate: int) -> None:
        """What the newest answers mean for the one that gave them."""
        if candidate in self._population:
            self._sort()
            return
        if self._rules.objectives is not Objectives.SCORE or len(self._rules.blocks) == 1:
            self._judge_whole(candidate)
            return
        incumbents = {str(at): self._blocks(at) for at in self._population}
        decision = racing.judge(
            self._blocks(candidate), list(incumbents.values()), self._race, start=candidate
        )
        if decision.block is not None:
            self._waiting.append((candidate, decision.block))
            return
        if decision.verdict is racing.Verdict.ACCEPT:
            self._population.append(candidate)
            incumbents[str(candidate)] = self._blocks(candidate)
            gone = racing.displaced(incumbents, self._race)
            if gone is not None:
                self._population.remove(int(gone))
        self._sort()
        again = racing.retest({str(at): self._blocks(at) for at in self._population}, self._race)
        if again is not None and not self._is_asked(int(again[0])):
            self._waiting.append((int(again[0]), again[1]))

    def _judge_whole(self, candidate: int) -> None:
        """All blocks, then a place instead of the worst, which of equals is the oldest."""
        answered = self._blocks(candidate)
        missing = [block for block in range(len(self._rules.blocks)) if block not in answered]
        if missing:
            start = candidate % len(self._rules.blocks)
            following = min(missing, key=lambda block: (block - start) % len(self._rules.blocks))
            self._waiting.append((candidate, following))
            return
        self._population.append(candidate)
        self._sort()
        if len(self._population) > self._rules.places:
            self._population.pop()

    def _is_asked(self, candidate: int) -> bool:
        return any(at == candidate for at, _ in self._waiting) or any(
            at == candidate for at, _ in self._book.pending.values()
        )

    def _sort(self) -> None:
        """Best first."""
        entries = self._book.entries
        if self._rules.objectives is not Objectives.SCORE:
            points = [point(entries[at], self._rules.objectives) for at in self._population]
            self._population = [self._population[at] for at, _, _ in pareto.ranked(points)]
        elif len(self._rules.blocks) == 1:
            self._population.sort(key=lambda at: (-entries[at].mean, -at))
        else:
            self._population = [
                int(at) for at in racing.ranking({str(at): self._blocks(at) for at in self._population})
            ]

    def _blocks(self, candidate: int) -> racing.Scores:
        scores = self._book.entries[candidate].scores
        return {
            number: [scores[example] for example in block]
            for number, block in enumerate(self._rules.blocks)
            if all(example in scores for example in block)
        }

    def _wanted(self) -> set[int]:
        return {
            *self._population,
            *(at for at, _ in self._waiting),
            *self._wishes.values(),
            *self._first,
        }

    def snapshot(self) -> dict[str, Any]:
        return {
            **self._book.snapshot(),
            "given": self._given,
            "population": list(self._population),
            "waiting": [list(one) for one in self._waiting],
            "wishes": [list(one) for one in self._wishes.items()],
            "born": self._born,
            "wished": self._wished,
            "first": list(self._first),
        }

    @classmethod
    def restore(cls, variation: Variation[G], rules: Rules, data: Mapping[str, Any]) -> SteadyState[G]:
        """The engine that made this snapshot, under the same rules (or a larger budget)."""
        made = cls(variation, rules)
        made._take_up(data)
        return made

    def _take_up(self, data: Mapping[str, Any]) -> None:
        self._book.restore(data)
        self._given = data["given"]
        self._population = list(data["population"])
        self._waiting = [(candidate, block) for candidate, block in data["waiting"]]
        self._wishes = dict(data["wishes"])
        self._born, self._wished = data["born"], data["wished"]
        self._first = list(data["first"])

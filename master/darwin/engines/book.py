"""What every engine keeps: its asks, its candidates and what they have answered; and all of it as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from master.darwin.engines.protocol import (
    Candidate,
    Evaluation,
    Examples,
    Standing,
    Trial,
    Variation,
)
from tasks.errors import D8Error

G = TypeVar("G")

#: So many digests of genomes are remembered, so that none of them is made again. More would make the
#: snapshot grow with the run; a genome that was forgotten costs nothing but its number: its answers are
#: kept (``master.darwin.answers``).
_REMEMBERED = 512
#: Feedback kept for a candidate, at most: the latest.
_FEEDBACK = 12


class Entry(Generic[G]):
    """A candidate that the engine still has a use for. Its genome is read when somebody looks at it:
    most of a population is only carried from pass to pass."""

    def __init__(self, variation: Variation[G], data: dict[str, Any], candidate: Candidate[G] | None) -> None:
        self._variation = variation
        #: As the snapshot has it, but for what it has answered.
        self._data = data
        self._candidate = candidate
        self.number: int = data["n"]
        self.digest: str = data["d"]
        self.scores: dict[int, float] = dict(zip(data["at"], data["s"], strict=True))
        self.objectives: tuple[float, ...] = tuple(data["ob"])
        self.tokens: int = data["t"]
        self.seconds: float = data["x"]
        self.feedback: tuple[str, ...] = tuple(data["f"])

    @property
    def candidate(self) -> Candidate[G]:
        if self._candidate is None:
            data = self._data
            self._candidate = Candidate(
                number=self.number,
                genome=self._variation.load(data["g"]),
                digest=self.digest,
                parents=tuple(data["p"]),
                operators=tuple(data["o"]),
            )
        return self._candidate

    def dump(self) -> dict[str, Any]:
        """For the snapshot."""
        answered = {"at": list(self.scores), "s": list(self.scores.values()), "ob": list(self.objectives)}
        return {
            **self._data,
            **answered,
            "t": self.tokens,
            "x": self.seconds,
            "f": list(self.feedback),
        }

    def learn(self, examples: Examples, evaluation: Evaluation) -> None:
        """Add what it has answered now."""
        self.scores.update(zip(examples, evaluation.scores, strict=True))
        self.objectives = evaluation.objectives
        self.tokens += evaluation.tokens
        self.seconds += evaluation.seconds
        self.feedback = (*self.feedback, *evaluation.feedback)[-_FEEDBACK:]

    @property
    def mean(self) -> float:
        return sum(self.scores.values()) / len(self.scores) if self.scores else 0.0

    @property
    def standing(self) -> Standing[G]:
        return Standing(
            candidate=self.candidate, scores=dict(self.scores), tokens=self.tokens, seconds=self.seconds
        )


class Book(Generic[G]):
    """Numbers asks and remembers candidates."""

    def __init__(self, variation: Variation[G], budget: int) -> None:
        self.variation = variation
        #: Trials that may be asked, at most.
        self.budget = budget
        #: The number of the next ask.
        self.asked = 0
        #: Trials asked so far. Wishes cost nothing.
        self.spent = 0
        self.entries: dict[int, Entry[G]] = {}
        #: Ask number -> candidate and examples, of trials that were not told yet.
        self.pending: dict[int, tuple[int, Examples]] = {}
        #: Number of every candidate that failed -> why; the last few.
        self.failed: dict[int, str] = {}
        self.failures = 0
        self.successes = 0
        self._known: dict[str, None] = {}

    def number(self) -> int:
        """The number of the ask that is being made."""
        self.asked += 1
        return self.asked - 1

    def admit(self, candidate: Candidate[G]) -> None:
        """A new candidate."""
        data = {
            "n": candidate.number,
            "g": self.variation.dump(candidate.genome),
            "d": candidate.digest,
            "p": list(candidate.parents),
            "o": list(candidate.operators),
            "at": [],
            "s": [],
            "ob": [],
            "t": 0,
            "x": 0.0,
            "f": [],
        }
        self.entries[candidate.number] = Entry(self.variation, data, candidate)
        self._known.pop(candidate.digest, None)
        self._known[candidate.digest] = None
        while len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]

    def admit_proposed(self, number: int, genome: G, *, by: str, best: Sequence[int]) -> None:
        """A genome that a library proposed: a child of the best so far. ``by``: the library, or "seed" for
        a first one."""
        self.admit(
            Candidate(
                number=number,
                genome=genome,
                digest=self.variation.digest(genome),
                parents=tuple(best[:1]),
                operators=(by,),
            )
        )

    def knows(self, digest: str) -> bool:
        return digest in self._known

    def trial(self, number: int, candidate: int, examples: Examples) -> Trial[G]:
        """An ask for these answers of a candidate."""
        self.pending[number] = (candidate, examples)
        self.spent += 1
        return Trial(number=number, candidate=self.entries[candidate].candidate, examples=examples)

    def open_trial(self, number: int) -> Trial[G]:
        """The trial that was asked under this number."""
        candidate, examples = self.pending[number]
        return Trial(number=number, candidate=self.entries[candidate].candidate, examples=examples)

    def told(self, number: int) -> tuple[int, Examples]:
        """Candidate and examples of a trial that is being told; ``D8Error`` if there is no such."""
        if number not in self.pending:
            raise D8Error(
                f"ask {number} is told and was not asked, or twice: asks 0 to {self.asked - 1} were made, "
                f"{sorted(self.pending)[:20]} are open; the records of this run do not fit its state"
            )
        return self.pending.pop(number)

    def fail(self, candidate: int, error: str) -> None:
        """The candidate is out, and never scored."""
        self.failures += 1
        self.failed[candidate] = error[:500]
        for old in list(self.failed)[:-20]:
            del self.failed[old]

    def forget(self, keep: Iterable[int]) -> None:
        """Drop the candidates that are neither here nor under evaluation."""
        kept = {*keep, *(candidate for candidate, _ in self.pending.values())}
        for number in [number for number in self.entries if number not in kept]:
            del self.entries[number]

    def snapshot(self) -> dict[str, Any]:
        return {
            "asked": self.asked,
            "spent": self.spent,
            "entries": [entry.dump() for entry in self.entries.values()],
            "pending": [[number, at, list(examples)] for number, (at, examples) in self.pending.items()],
            "failed": [[number, error] for number, error in self.failed.items()],
            "failures": self.failures,
            "successes": self.successes,
            "known": list(self._known),
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        self.asked, self.spent = data["asked"], data["spent"]
        self.entries = {one["n"]: Entry(self.variation, one, None) for one in data["entries"]}
        self.pending = {number: (at, tuple(examples)) for number, at, examples in data["pending"]}
        self.failed = dict(data["failed"])
        self.failures, self.successes = data["failures"], data["successes"]
        self._known = dict.fromkeys(data["known"])

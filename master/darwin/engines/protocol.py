"""What engines, genomes and the flow have in common: ask, tell, and what travels between. Pure.

An engine is *asked* for the next thing to find out and *told* what became of it. Asks have numbers, in the
order in which they were made; tells have sequence numbers, in the order in which they were told. Every
random number comes from (seed, ask number), never from a clock or from a generator that is carried along.
So an engine's state is a function of its rules and of the order of asks and tells, and nothing else: play
them back and you have the same engine (``master.darwin.engines.replay``). A *snapshot* is that state as
JSON, to go on from without playing back.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

G = TypeVar("G")

#: Ids of examples. What is not judged by examples (but in an environment) has one: (0,).
Examples = tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate(Generic[G]):
    """A genome with its place in the family tree."""

    #: The number of the ask that made it: unique in a run.
    number: int
    genome: G
    #: ``Variation.digest`` of the genome.
    digest: str
    #: Numbers of the candidates that it was made from.
    parents: tuple[int, ...]
    #: What made it from them, such as ("cross", "mutate:label_words"); ("seed",) for a first one.
    operators: tuple[str, ...]

    @property
    def id(self) -> str:
        """How people see it: "c17"."""
        return f"c{self.number}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial(Generic[G]):
    """An ask: how does this candidate do on these examples?"""

    number: int
    candidate: Candidate[G]
    examples: Examples


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wish:
    """An ask for genomes that only a worker can make: with a library or a model that the master has not.

    It costs no evaluation. ``request`` is JSON for the task of this ``kind``.
    """

    number: int
    #: "reflect": a capable model rewrites a candidate; "cma": a step of CMA-ES.
    kind: str
    request: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What became of a trial that was answered: every one of its examples has a score."""

    #: In the order of the trial's examples; more is better. Text metrics give 0..1.
    scores: tuple[float, ...]
    #: Several scores of an environment, each the more the better; empty where there is one.
    objectives: tuple[float, ...] = ()
    #: Prompt and generated tokens, over all of its examples; 0 where no model was asked.
    tokens: int = 0
    #: The worker's own seconds for it. From the cache: those of the time when it was worked out.
    seconds: float = 0.0
    #: For reflection, what was answered to examples and what was wrong with it; may be empty.
    feedback: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failed:
    """What became of a trial or wish that failed for good, after all retries. Never a score of zero."""

    error: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Proposed:
    """What became of a wish: genomes as JSON, to be checked by whoever reads them."""

    genomes: tuple[Any, ...]
    #: What the proposer wants to have back with its next wish.
    note: Mapping[str, Any] = dataclasses.field(default_factory=dict)


Ask = Trial[G] | Wish
Outcome = Evaluation | Failed | Proposed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing(Generic[G]):
    """A candidate and what is known of it."""

    candidate: Candidate[G]
    #: Example -> score, of the examples that it has answered.
    scores: Mapping[int, float]
    tokens: int
    seconds: float

    @property
    def score(self) -> float:
        """Mean over the examples that it has answered."""
        return sum(self.scores.values()) / len(self.scores) if self.scores else 0.0


class Variation(Protocol[G]):
    """What can be done with a kind of genome. Pure: all chance comes from ``rng``."""

    def seeds(self, count: int, seed: int) -> Sequence[G]:
        """So many first genomes, all different where the kind allows it; the same for the same seed."""
        ...

    def mutate(self, genome: G, rng: random.Random) -> tuple[G, tuple[str, ...]]:
        """A changed genome, and the names of the operators that changed it."""
        ...

    def cross(self, mother: G, father: G, rng: random.Random) -> G:
        """A child that takes after both."""
        ...

    def newcomer(self, rng: random.Random) -> G:
        """A genome at random, for when everything near is known."""
        ...

    def digest(self, genome: G) -> str:
        """Sixteen hexadecimal digits that two genomes share only if they are equal."""
        ...

    def describe_difference(self, parent: G, child: G) -> str:
        """A diff for people: lines that begin with "-" or "+", and others for context; "" if equal."""
        ...

    def dump(self, genome: G) -> Any:
        """As JSON."""
        ...

    def load(self, data: Any) -> G:
        """From JSON; ``InvalidInput`` says what is wrong with it."""
        ...


class Engine(Protocol[G]):
    """Says what to evaluate next. Not thread-safe; does no I/O; never looks at a clock."""

    def ask(self) -> Ask[G] | None:
        """The next ask, numbered from 0 in a row; None while it needs to be told something first, or
        when it is ``finished``."""
        ...

    def tell(self, number: int, outcome: Outcome) -> None:
        """What became of ask ``number``, in the order that is recorded. Each ask is told once."""
        ...

    def open_trial(self, number: int) -> Trial[G]:
        """The trial that was asked under this number and not told yet."""
        ...

    @property
    def finished(self) -> bool:
        """It will ask no more, whatever it is told."""
        ...

    @property
    def spent(self) -> int:
        """Trials asked so far."""
        ...

    @property
    def successes(self) -> int:
        """Trials that were answered."""
        ...

    @property
    def failures(self) -> Mapping[int, str]:
        """The last candidates that failed, and why."""
        ...

    def best(self) -> Sequence[Standing[G]]:
        """The population or front, best first; empty before anything was answered."""
        ...

    def leader(self) -> tuple[int, float] | None:
        """Number and score of the best; None before anything was answered. Cheap, unlike ``best``."""
        ...

    def first(self) -> Sequence[Standing[G]]:
        """The seeds that were answered, best first."""
        ...

    def snapshot(self) -> dict[str, Any]:
        """Its whole state as JSON. ``restore`` of the engine's class makes an equal engine of it."""
        ...

"""What turns trials into steps and their results into answers, and wishes into proposals."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from master.darwin.answers import Answer
from master.darwin.engines.protocol import Examples, Proposed, Trial, Wish
from master.darwin.tally import Cost
from master.flows import FlowContext, Handle

G = TypeVar("G")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question(Generic[G]):
    """What a step is to find out: a trial's examples that nobody has answered yet."""

    trial: Trial[G]
    examples: Examples


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answered:
    """What a step found out about one of its questions."""

    answers: Mapping[int, Answer]
    #: Example -> why it has no answer.
    failures: Mapping[int, str] = dataclasses.field(default_factory=dict)
    #: Asking again may help with all of them.
    transient: bool = False


class Judge(Protocol[G]):
    """One kind of evaluation."""

    #: Questions that one step may hold.
    lot: int

    def key(self, trial: Trial[G], example: int) -> str:
        """Names the answer across runs; "" when it must not be kept."""
        ...

    def start(self, ctx: FlowContext, key: str, lot: Sequence[Question[G]]) -> Handle[Any]:
        """The step that answers these questions."""
        ...

    def recall(self, ctx: FlowContext, key: str) -> Handle[Any]:
        """A step that ``start`` has started in an earlier pass."""
        ...

    def read(self, handle: Handle[Any], lot: Sequence[Question[G]]) -> tuple[list[Answered], Cost]:
        """One for each question of a step that has ended well."""
        ...


class Proposer(Protocol):
    """One kind of wish."""

    def start(self, ctx: FlowContext, key: str, wish: Wish) -> Handle[Any]: ...

    def recall(self, ctx: FlowContext, key: str) -> Handle[Any]: ...

    def read(self, handle: Handle[Any], wish: Wish) -> tuple[Proposed, Cost]: ...

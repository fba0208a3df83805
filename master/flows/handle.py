"""A step as a flow holds it: what was recorded of it, and its result."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from sqlalchemy import Connection

from master.dispatch.states import OPEN_STEPS, StepKind, StepState
from tasks.errors import D8Error
from tasks.record import Record

if TYPE_CHECKING:
    from master.flows.context import FlowContext

Res = TypeVar("Res", bound=Record)


class StepFailed(D8Error):
    """A step failed for good. A flow may catch it; otherwise its run fails with this text."""

    def __init__(self, key: str, error: str) -> None:
        super().__init__(f"step {key!r} failed: {error}")
        self.key = key
        self.error = error


class PassEnds(BaseException):
    """Something that the flow needs is not there yet. Not an Exception: a flow cannot catch it by accident."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recorded:
    """A step of this run as it stood when the pass began."""

    id: int
    key: str
    kind: StepKind
    state: StepState
    awaited: bool
    request_digest: str
    #: JSON; "" unless done.
    result: str
    error: str
    #: Place in the order of the run's outcomes; 0 while open.
    seq: int


class Effects(Protocol):
    """What a pass may do besides computing; each is safe to repeat."""

    def act(self, key: str, function: Callable[[Connection], Any]) -> Any: ...

    def read(self, function: Callable[[Connection], Any]) -> Any: ...

    def read_artifact(self, digest: str) -> bytes: ...

    def write_artifact(self, name: str, data: bytes, media_type: str) -> str: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kept:
    """What a pass leaves to the next one, written with everything else that it wants or not at all."""

    state: dict[str, Any]
    #: Keys of ended steps that ``state`` accounts for: no later pass loads them.
    folded: tuple[str, ...]
    #: Further writes of the same transaction.
    also: Callable[[Connection], None] | None = None


class Handle(Generic[Res]):
    """A step that the flow has asked for."""

    def __init__(self, context: FlowContext, key: str, result: type[Res], recorded: Recorded | None) -> None:
        self._context = context
        self._result = result
        self._recorded = recorded
        self.key = key

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._recorded is not None and self._recorded.state not in OPEN_STEPS

    @property
    def failed(self) -> bool:
        return self.done and self._recorded is not None and self._recorded.state is not StepState.DONE

    @property
    def error(self) -> str:
        return (
            self._recorded.error or self._recorded.state if self._recorded is not None and self.failed else ""
        )

    @property
    def seq(self) -> int:
        """Its place in the order in which the run's steps ended; 0 while it has not."""
        return self._recorded.seq if self._recorded is not None else 0

    def result(self) -> Res:
        """The recorded result. Ends the pass while there is none; ``StepFailed`` if it failed."""
        recorded = self._recorded
        if recorded is None or not self.done:
            self._context.await_steps([self.key], "all")
        if self.failed:
            raise StepFailed(self.key, self.error)
        return self._result.model_validate_json(recorded.result)

"""How a request can end, and the errors that carry it. Every request ends in exactly one of these."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TypeVar

from pydantic import Field

from tasks.errors import HandlerError, PermanentFailure, TransientFailure
from tasks.record import Record

Result = TypeVar("Result")


class Outcome(enum.StrEnum):
    DONE = "done"
    #: Its client gave it up.
    CANCELLED = "cancelled"
    #: Its deadline passed before it was done.
    EXPIRED = "expired"
    #: It was not begun: it asks for what cannot be, or too much waits already.
    REJECTED = "rejected"
    #: Computing it went wrong.
    FAILED = "failed"


class GivenUp(TransientFailure):
    """Nobody waits for the answer anymore."""


class Expired(TransientFailure):
    """The answer would have come too late."""


class Rejected(PermanentFailure):
    """The request asks for what cannot be."""


class Overloaded(TransientFailure):
    """So much waits already that the request was not taken on."""


class Failed(Record):
    """A request without an answer, and why."""

    outcome: Outcome
    #: Trying again may help.
    transient: bool
    message: str = Field(max_length=20_000)


def outcome_of(error: HandlerError) -> Outcome:
    """How a request ended whose failure this is."""
    if isinstance(error, GivenUp):
        return Outcome.CANCELLED
    if isinstance(error, Expired):
        return Outcome.EXPIRED
    if isinstance(error, Rejected | Overloaded):
        return Outcome.REJECTED
    return Outcome.FAILED


def failed(error: HandlerError) -> Failed:
    """``error`` as it travels."""
    return Failed(
        outcome=outcome_of(error),
        transient=not isinstance(error, PermanentFailure),
        message=str(error)[:20_000],
    )


def as_error(told: Failed) -> HandlerError:
    """The error that was told: what ``failed`` made of it, back again."""
    if told.outcome is Outcome.CANCELLED:
        return GivenUp(told.message)
    if told.outcome is Outcome.EXPIRED:
        return Expired(told.message)
    if told.outcome is Outcome.REJECTED:
        return Overloaded(told.message) if told.transient else Rejected(told.message)
    return TransientFailure(told.message) if told.transient else PermanentFailure(told.message)


def all_there(results: Sequence[Result | Failed]) -> list[Result]:
    """The results, or the first failure among them as an error, which says of several which one it was."""
    whole: list[Result] = []
    for number, result in enumerate(results):
        if isinstance(result, Failed):
            error = as_error(result)
            raise type(error)(f"item {number} of {len(results)}: {error}" if len(results) > 1 else str(error))
        whole.append(result)
    return whole

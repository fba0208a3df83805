"""Why a claim is not granted, in words that its worker's owner can act on."""

from __future__ import annotations

import enum
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Row, Text, bindparam, cast, literal_column, select

from master.dispatch.survey import read_hardware
from master.store.tables import steps, workers
from tasks.needs import parse_needs, why_unfit
from tasks.protocol import ClaimRequest, Hardware, Refusal


class RefusalReason(enum.StrEnum):
    """What refused claims are counted by."""

    UNKNOWN_STEP = "unknown_step"
    #: The ticket is of an attempt that is over.
    OLD_ATTEMPT = "old_attempt"
    #: Somebody else was faster, or the step has ended.
    NOT_QUEUED = "not_queued"
    OLD_TICKET = "old_ticket"
    UNKNOWN_WORKER = "unknown_worker"
    OLD_SESSION = "old_session"
    WRONG_BUILD = "wrong_build"
    OTHER_WORKER = "other_worker"
    WRONG_LANE = "wrong_lane"
    UNFIT = "unfit"
    NOT_ACTIVE = "not_active"


class KnownRefusal(Refusal):
    """A refusal as the master knows it. Only the text travels: workers of any build read it."""

    reason: RefusalReason = Field(exclude=True)


_NEEDS = (
    select(steps.c.needs, cast(workers.c.hardware, Text).label("hardware"))
    .join(workers, workers.c.name == bindparam("b_worker"))
    .where(steps.c.id == bindparam("b_step"), steps.c.needs != literal_column("''"))
)


def refuse(reason: RefusalReason, text: str) -> KnownRefusal:
    return KnownRefusal(refused=text, reason=reason)


def met_needs(connection: Connection, request: ClaimRequest) -> str:
    """What the step asks of a machine, if this worker has it all; "" otherwise."""
    row = connection.execute(_NEEDS, {"b_worker": request.worker, "b_step": request.step}).first()
    if row is None or why_unfit(parse_needs(row.needs), read_hardware(row.hardware)):
        return ""
    return str(row.needs)


def why_refused(connection: Connection, request: ClaimRequest, step: Row[Any]) -> KnownRefusal:
    """About a ticket of the current attempt of a queued step: the fault lies with the worker."""
    worker = connection.execute(select(workers).where(workers.c.name == request.worker)).first()
    name = repr(request.worker)
    if worker is None:
        return refuse(
            RefusalReason.UNKNOWN_WORKER,
            f"worker {name} has not joined this fleet: start it with 'd8 worker start'",
        )
    if worker.session != request.session:
        return refuse(
            RefusalReason.OLD_SESSION,
            f"worker {name} has been started again since: this process is not it any more",
        )
    if worker.build != step.build:
        return refuse(
            RefusalReason.WRONG_BUILD,
            f"worker {name} runs build {worker.build}, this fleet runs {step.build}: "
            f"bring its code to the master's and start it again",
        )
    if step.only_worker not in ("", request.worker):
        return refuse(RefusalReason.OTHER_WORKER, f"step {step.id} is for worker {step.only_worker!r} alone")
    if step.lane not in worker.lanes:
        return refuse(
            RefusalReason.WRONG_LANE,
            f"step {step.id} was sent to {step.lane}, worker {name} serves {worker.lanes}",
        )
    unfit = why_unfit(parse_needs(step.needs), Hardware.model_validate(worker.hardware))
    if unfit:
        return refuse(RefusalReason.UNFIT, f"step {step.id} does not fit worker {name}: {unfit}")
    return refuse(
        RefusalReason.NOT_ACTIVE,
        f"worker {name} is {worker.state}: {worker.reason or 'it gets no work now'}",
    )

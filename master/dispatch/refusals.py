"""Why a claim is not granted, in words that its worker's owner can act on."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, literal, select

from master.store.tables import steps, workers
from tasks.needs import parse_needs, why_unfit
from tasks.protocol import ClaimRequest, Hardware


def met_needs(connection: Connection, request: ClaimRequest) -> str:
    """What the step asks of a machine, if this worker has it all; "" otherwise."""
    row = connection.execute(
        select(steps.c.needs, workers.c.hardware)
        .join(workers, workers.c.name == literal(request.worker))
        .where(steps.c.id == request.step, steps.c.needs != "")
    ).first()
    if row is None or why_unfit(parse_needs(row.needs), Hardware.model_validate(row.hardware)):
        return ""
    return str(row.needs)


def why_refused(connection: Connection, request: ClaimRequest, step: Row[Any]) -> str:
    """About a ticket of the current attempt of a queued step: the fault lies with the worker."""
    worker = connection.execute(select(workers).where(workers.c.name == request.worker)).first()
    if worker is None:
        return f"worker {request.worker!r} has not joined this fleet: start it with 'd8 worker start'"
    if worker.session != request.session:
        return f"worker {request.worker!r} has been started again since: this process is not it any more"
    if worker.build != step.build:
        return (
            f"worker {request.worker!r} runs build {worker.build}, this fleet runs {step.build}: "
            f"bring its code to the master's and start it again"
        )
    if step.only_worker not in ("", request.worker):
        return f"step {step.id} is for worker {step.only_worker!r} alone"
    if step.lane not in worker.lanes:
        return f"step {step.id} was sent to {step.lane}, worker {request.worker!r} serves {worker.lanes}"
    unfit = why_unfit(parse_needs(step.needs), Hardware.model_validate(worker.hardware))
    if unfit:
        return f"step {step.id} does not fit worker {request.worker!r}: {unfit}"
    return f"worker {request.worker!r} is {worker.state}: {worker.reason or 'it gets no work now'}"

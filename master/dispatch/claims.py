"""A worker's side of a step: claim, renew, report. Each is one conditional update that either takes
effect whole or changes nothing."""

from __future__ import annotations

import json
import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Text,
    and_,
    bindparam,
    cast,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from master.dispatch.finish import finish_step, give_back
from master.dispatch.refusals import RefusalReason, met_needs, refuse, why_refused
from master.dispatch.states import StepState
from master.events import record_event
from master.store.tables import attempts, steps, workers
from master.store.types import UtcDateTime, one_of
from tasks.errors import StaleToken
from tasks.protocol import ClaimRequest, Grant, Recorded, Refusal, Renewal, Renewed, Report

_fit_worker = exists(
    select(workers.c.name).where(
        workers.c.name == bindparam("b_worker"),
        workers.c.session == bindparam("b_session"),
        # One that is on trial gets its own canary and nothing else.
        or_(
            workers.c.state == "active",
            and_(workers.c.state == "joining", steps.c.only_worker == workers.c.name),
        ),
        workers.c.build == steps.c.build,
        # The lanes are a JSON list of strings that need no escapes.
        cast(workers.c.lanes, Text).contains('"' + steps.c.lane + '"'),
    )
)

_GRANT = (
    update(steps)
    .where(
        steps.c.id == bindparam("b_step"),
        steps.c.attempt == bindparam("b_attempt"),
        steps.c.state == StepState.QUEUED,
        steps.c.build == bindparam("b_build"),
        # Empty, or what was just found to be satisfied.
        steps.c.needs == bindparam("b_needs"),
        or_(steps.c.only_worker == literal_column("''"), steps.c.only_worker == bindparam("b_worker")),
        _fit_worker,
    )
    .values(
        state=StepState.RUNNING,
        worker=bindparam("b_worker"),
        session=bindparam("b_session"),
        claim=bindparam("b_claim"),
        token=bindparam("b_token"),
        lease_until=bindparam("b_until", type_=UtcDateTime),
        claimed_at=bindparam("b_now", type_=UtcDateTime),
        progress=0.0,
        note="",
    )
    .returning(
        steps.c.run_id,
        steps.c.key,
        steps.c.task,
        steps.c.request,
        steps.c.token,
        steps.c.deadline_s,
        steps.c.lane,
    )
)
_ATTEMPT = insert(attempts)

_held_attempt = (
    select(func.max(attempts.c.attempt))
    .where(attempts.c.step_id == steps.c.id)
    .correlate(steps)
    .scalar_subquery()
)

_RENEW = (
    update(steps)
    .where(
        steps.c.id == bindparam("b_step"),
        steps.c.token == bindparam("b_token"),
        steps.c.state == StepState.RUNNING,
    )
    .values(
        lease_until=bindparam("b_until", type_=UtcDateTime),
        progress=bindparam("b_progress"),
        note=bindparam("b_note"),
    )
)
#: The next attempt was not claimed yet: its ticket is void once the attempt's number is back.
_TAKE_UP_AGAIN = (
    update(steps)
    .where(
        steps.c.id == bindparam("b_step"),
        steps.c.token == bindparam("b_token"),
        one_of(steps.c.state, (StepState.READY, StepState.QUEUED)),
    )
    .values(
        state=StepState.RUNNING,
        attempt=_held_attempt,
        error="",
        ring_at=None,
        lease_until=bindparam("b_until", type_=UtcDateTime),
        progress=bindparam("b_progress"),
        note=bindparam("b_note"),
    )
    .returning(steps.c.run_id, steps.c.worker, steps.c.attempt)
)

_HELD = select(steps).where(steps.c.id == bindparam("b_step"))


def claim_step(
    connection: Connection, request: ClaimRequest, *, now: datetime, lease_s: float
) -> Grant | Refusal:
    """Grant the attempt to this worker session, or say why not. Repeating a granted claim returns
    the same grant, so that a lost answer costs nothing."""
    row = _try_grant(connection, request, "", now, lease_s)
    if row is None:
        needs = met_needs(connection, request)
        row = _try_grant(connection, request, needs, now, lease_s) if needs else None
    if row is None:
        return _repeat_or_refuse(connection, request, lease_s)
    connection.execute(
        _ATTEMPT,
        {
            "step_id": request.step,
            "attempt": request.attempt,
            "worker": request.worker,
            "session": request.session,
            "build": request.build,
            "claimed_at": now,
            "outcome": "",
            "error": "",
        },
    )
    record_event(
        connection,
        "step_claimed",
        now,
        run_id=row.run_id,
        step_id=request.step,
        worker=request.worker,
        attempt=request.attempt,
    )
    return _grant(request, row, lease_s)


def _try_grant(
    connection: Connection, request: ClaimRequest, needs: str, now: datetime, lease_s: float
) -> Row[Any] | None:
    return connection.execute(
        _GRANT,
        {
            "b_needs": needs,
            "b_step": request.step,
            "b_attempt": request.attempt,
            "b_build": request.build,
            "b_worker": request.worker,
            "b_session": request.session,
            "b_claim": request.claim,
            "b_token": secrets.token_hex(12),
            "b_until": now + timedelta(seconds=lease_s),
            "b_now": now,
        },
    ).first()


def renew_lease(connection: Connection, renewal: Renewal, *, now: datetime, lease_s: float) -> Renewed:
    """Extend the lease and note the progress. An attempt that was given up while its worker could not
    be heard goes on, as long as nobody has claimed the step since. ``StaleToken``: it is over."""
    values = {
        "b_step": renewal.step,
        "b_token": renewal.token,
        "b_until": now + timedelta(seconds=lease_s),
        "b_progress": renewal.progress,
        "b_note": renewal.note,
    }
    renewed = connection.execute(_RENEW, values).rowcount or _take_up_again(connection, renewal, values, now)
    if not renewed:
        raise StaleToken(f"step {renewal.step} is not held under this token any more: stop working on it")
    return Renewed(lease_s=lease_s)


def _take_up_again(connection: Connection, renewal: Renewal, values: dict[str, Any], now: datetime) -> int:
    taken = connection.execute(_TAKE_UP_AGAIN, values).first()
    if taken is None:
        return 0
    connection.execute(
        update(attempts)
        .where(attempts.c.step_id == renewal.step, attempts.c.attempt == taken.attempt)
        .values(outcome="", error="", ended_at=None)
    )
    record_event(
        connection,
        "attempt_resumed",
        now,
        run_id=taken.run_id,
        step_id=renewal.step,
        worker=taken.worker,
        attempt=taken.attempt,
    )
    return 1


def record_report(connection: Connection, report: Report, *, now: datetime) -> Recorded:
    """Record the end of an attempt, once. ``StaleToken``: another attempt was granted since, the
    step was cancelled, or this one was given up and the step has ended without it."""
    if report.failure is None:
        recorded = finish_step(
            connection,
            report.step,
            attempt=report.attempt,
            token=report.token,
            result=report.result or {},
            usage=report.usage,
            now=now,
        )
        if recorded:
            return Recorded()
        return _again_or_stale(connection, report)
    step = connection.execute(_HELD, {"b_step": report.step}).first()
    if step is not None and step.state == StepState.RUNNING and step.token == report.token:
        give_back(connection, step, report.failure, report.error, now=now)
        return Recorded()
    return _again_or_stale(connection, report)


def _again_or_stale(connection: Connection, report: Report) -> Recorded:
    ended = connection.execute(
        select(attempts.c.outcome)
        .join(steps, and_(steps.c.id == attempts.c.step_id, steps.c.token == report.token))
        .where(
            attempts.c.step_id == report.step, attempts.c.attempt == report.attempt, attempts.c.outcome != ""
        )
    ).first()
    if ended is not None and ended.outcome == (report.failure or StepState.DONE):
        return Recorded(again=True)
    if ended is not None and report.failure is not None:
        # A failure of an attempt that was already given up adds nothing.
        return Recorded(again=True)
    raise StaleToken(
        f"the report on step {report.step}, attempt {report.attempt} came too late: "
        f"the step was given to another attempt, was cancelled or has ended"
    )


def _grant(request: ClaimRequest, step: Row[Any], lease_s: float) -> Grant:
    return Grant(
        step=request.step,
        attempt=request.attempt,
        run=step.run_id,
        key=step.key,
        task=step.task,
        request=json.loads(step.request),
        token=step.token,
        lease_s=lease_s,
        deadline_s=step.deadline_s,
    )


def _repeat_or_refuse(connection: Connection, request: ClaimRequest, lease_s: float) -> Grant | Refusal:
    step = connection.execute(_HELD, {"b_step": request.step}).first()
    if step is None:
        return refuse(RefusalReason.UNKNOWN_STEP, f"there is no step {request.step}")
    held = (step.state, step.attempt, step.claim, step.session)
    if held == (StepState.RUNNING, request.attempt, request.claim, request.session):
        return _grant(request, step, lease_s)
    if step.attempt != request.attempt:
        return refuse(
            RefusalReason.OLD_ATTEMPT,
            f"attempt {request.attempt} is over: step {step.id} is at attempt {step.attempt}",
        )
    if step.state != StepState.QUEUED:
        return refuse(RefusalReason.NOT_QUEUED, f"step {step.id} is {step.state}")
    if step.build != request.build:
        return refuse(
            RefusalReason.OLD_TICKET,
            f"step {step.id} wants build {step.build}, the ticket says {request.build}",
        )
    return why_refused(connection, request, step)

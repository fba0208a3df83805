"""How a step ends, or goes back for another attempt."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, update

from master.dispatch.retry import counts, decide_retry
from master.dispatch.states import StepState
from master.dispatch.wake import wake_if_due, wake_run
from master.events import record_event
from master.store import news_of
from master.store.tables import attempts, outcomes, steps
from master.store.types import UtcDateTime, one_of
from tasks.protocol import Failure

#: A result may also come from an attempt that was given up, as long as nobody else has been granted
#: the step since: its token is then still the last one, and a night's work is not done twice.
_FINISH = (
    update(steps)
    .where(
        steps.c.id == bindparam("b_step"),
        steps.c.token == bindparam("b_token"),
        one_of(steps.c.state, (StepState.RUNNING, StepState.READY, StepState.QUEUED)),
    )
    .values(
        state=StepState.DONE,
        attempt=bindparam("b_attempt"),
        result=bindparam("b_result"),
        usage=bindparam("b_usage"),
        error="",
        progress=1.0,
        lease_until=None,
        ring_at=None,
        finished_at=bindparam("b_now", type_=UtcDateTime),
    )
    .returning(steps.c.run_id, steps.c.awaited, steps.c.worker)
)
_OUTCOME = insert(outcomes)
_END_ATTEMPT = (
    update(attempts)
    .where(attempts.c.step_id == bindparam("b_step"), attempts.c.attempt == bindparam("b_attempt"))
    .values(
        outcome=bindparam("b_outcome"),
        error=bindparam("b_error"),
        ended_at=bindparam("b_now", type_=UtcDateTime),
    )
)


def finish_step(
    connection: Connection,
    step_id: int,
    *,
    attempt: int,
    token: str,
    result: dict[str, Any],
    usage: dict[str, Any],
    now: datetime,
) -> bool:
    """Record the result of the attempt that holds ``token``. False when the token is not the last
    one granted, or the step has ended: then nothing is changed."""
    row = connection.execute(
        _FINISH,
        {
            "b_step": step_id,
            "b_attempt": attempt,
            "b_token": token,
            "b_result": json.dumps(result, separators=(",", ":"), ensure_ascii=False),
            "b_usage": json.dumps(usage, separators=(",", ":")),
            "b_now": now,
        },
    ).first()
    if row is None:
        return False
    _end_attempt(connection, step_id, attempt, StepState.DONE, "", now)
    record_outcome(connection, step_id, row.run_id, attempt, StepState.DONE, now)
    record_event(
        connection, "step_done", now, run_id=row.run_id, step_id=step_id, worker=row.worker, attempt=attempt
    )
    if row.awaited:
        wake_if_due(connection, row.run_id, now)
    news_of(connection).dispatch = True
    return True


def give_back(connection: Connection, step: Row[Any], failure: Failure, error: str, *, now: datetime) -> None:
    """End the current attempt of a running step without a result: another attempt, or the end.

    ``step`` is its row, read in this transaction.
    """
    failures = step.failures + counts(failure)
    verdict = decide_retry(failure, failures=failures, attempt=step.attempt, max_attempts=step.max_attempts)
    _end_attempt(connection, step.id, step.attempt, failure, error, now)
    record_event(
        connection,
        "attempt_failed",
        now,
        run_id=step.run_id,
        step_id=step.id,
        worker=step.worker,
        attempt=step.attempt,
        failure=str(failure),
        error=error[:500],
        again=verdict.again,
    )
    news_of(connection).dispatch = True
    if verdict.again:
        not_before = now + timedelta(seconds=verdict.wait_s) if verdict.wait_s else None
        connection.execute(
            update(steps)
            .where(steps.c.id == step.id, steps.c.state == StepState.RUNNING, steps.c.attempt == step.attempt)
            .values(
                state=StepState.READY,
                attempt=step.attempt + 1,
                failures=failures,
                error=error,
                lease_until=None,
                not_before=not_before,
                progress=0.0,
            )
        )
        return
    ended = StepState.CANCELLED if failure is Failure.CANCELLED else StepState.FAILED
    why = error if step.attempt < 2 else f"{error} (attempt {step.attempt})"
    connection.execute(
        update(steps)
        .where(steps.c.id == step.id, steps.c.state == StepState.RUNNING, steps.c.attempt == step.attempt)
        .values(state=ended, failures=failures, error=why, lease_until=None, finished_at=now)
    )
    record_outcome(connection, step.id, step.run_id, step.attempt, ended, now)
    if ended is StepState.FAILED:
        record_event(
            connection,
            "step_failed",
            now,
            run_id=step.run_id,
            step_id=step.id,
            worker=step.worker,
            error=why[:500],
        )
    wake_run(connection, step.run_id, now)


def record_outcome(
    connection: Connection, step_id: int, run_id: str, attempt: int, state: StepState, now: datetime
) -> None:
    """The one row that says how the step ended; a second one violates its unique key."""
    connection.execute(
        _OUTCOME, {"step_id": step_id, "run_id": run_id, "attempt": attempt, "state": state, "at": now}
    )


def _end_attempt(
    connection: Connection, step_id: int, attempt: int, outcome: str, error: str, now: datetime
) -> None:
    connection.execute(
        _END_ATTEMPT,
        {"b_step": step_id, "b_attempt": attempt, "b_outcome": outcome, "b_error": error, "b_now": now},
    )

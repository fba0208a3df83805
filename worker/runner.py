"""From ticket to report: claim, run the handler, deliver. Nothing of the step is imported before
the claim is granted."""

from __future__ import annotations

import dataclasses
import importlib
import logging
import secrets
import time
from collections.abc import Callable
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from pydantic import ValidationError

from tasks.errors import Cancelled, D8Error, PermanentFailure, TransientFailure
from tasks.log import about, say
from tasks.protocol import ClaimRequest, Failure, Grant, Refusal, Report, Ticket
from tasks.spec import TaskSpec
from tasks.tracing import Tracer, traced, traced_attempt
from worker.attempt import TRIES, Attempt, LeaseKeeper
from worker.courier import Courier
from worker.master_client import MasterClient, patiently
from worker.models.protocol import Usage
from worker.models.used import RecordedModels
from worker.spool import Spool

log = logging.getLogger("d8.runner")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Identity:
    """Who this worker process is. A new session is made each time it starts."""

    name: str
    session: str
    build: str


class Runner:
    """Runs tickets in one process, one at a time."""

    def __init__(
        self,
        identity: Identity,
        client: MasterClient,
        spool: Spool,
        make_models: Callable[[], RecordedModels],
        tracer: Tracer | None = None,
    ) -> None:
        self._tracer = tracer
        self._identity = identity
        self._client = client
        self._make_models = make_models
        self._keeper = LeaseKeeper(client)
        self._courier = Courier(client, spool, self._keeper)

    def run(self, task: TaskSpec[Any, Any], ticket: Ticket) -> None:
        """Claim the step and, if granted, run it to its report. Always returns: the ticket is done with."""
        grant = self._claim(task, ticket)
        if grant is None:
            return
        attempt = Attempt(grant, self._client, self._make_models(), self._identity.name)
        self._keeper.hold(attempt)
        started = time.monotonic()
        with (
            about(run=grant.run, step=grant.step, attempt=grant.attempt, worker=self._identity.name),
            traced_attempt(self._tracer, grant.run, grant.step, grant.attempt),
            traced("handle", task=task.name, worker=self._identity.name, attempt=grant.attempt) as span,
        ):
            report = _run_handler(task, attempt, self._identity.name)
            if report.failure is not None:
                span["error"] = str(report.failure)
        say(
            log,
            logging.INFO if report.failure is None else logging.WARNING,
            "step_ran",
            run=grant.run,
            step=grant.step,
            attempt=grant.attempt,
            worker=self._identity.name,
            task=task.name,
            outcome=report.failure or "done",
            seconds=round(time.monotonic() - started, 3),
            **({"error": report.error[:300]} if report.error else {}),
        )
        self._courier.send(report, attempt)

    def close(self) -> None:
        """Until every report is delivered or on disk."""
        self._courier.wait()
        if self._tracer is not None:
            self._tracer.close()

    def _claim(self, task: TaskSpec[Any, Any], ticket: Ticket) -> Grant | None:
        request = ClaimRequest(
            worker=self._identity.name,
            session=self._identity.session,
            step=ticket.step,
            attempt=ticket.attempt,
            build=self._identity.build,
            claim=secrets.token_hex(8),
        )
        try:
            answer = patiently(lambda: self._client.claim(request), tries=TRIES, what="claim")
        except D8Error as error:
            # The master will ring again for what nobody has claimed.
            say(
                log,
                logging.WARNING,
                "claim_failed",
                step=ticket.step,
                attempt=ticket.attempt,
                error=str(error),
            )
            return None
        if isinstance(answer, Refusal):
            say(
                log,
                logging.WARNING,
                "claim_refused",
                step=ticket.step,
                attempt=ticket.attempt,
                why=answer.refused,
            )
            return None
        if answer.task != task.name:
            say(log, logging.ERROR, "claim_mismatch", step=ticket.step, ticket=task.name, grant=answer.task)
            return None
        return answer


def _run_handler(task: TaskSpec[Any, Any], attempt: Attempt, worker: str) -> Report:
    grant = attempt.grant

    def failed(failure: Failure, error: object) -> Report:
        return Report(
            step=grant.step,
            attempt=grant.attempt,
            token=grant.token,
            worker=worker,
            failure=failure,
            error=f"{error}"[:20_000],
            usage=_usage(attempt),
        )

    try:
        request = task.request.model_validate(grant.request)
        handle = importlib.import_module(task.handler_module).handle
        result = handle(request, attempt)
        return Report(
            step=grant.step,
            attempt=grant.attempt,
            token=grant.token,
            worker=worker,
            result=result.model_dump(mode="json"),
            usage=_usage(attempt),
        )
    except SoftTimeLimitExceeded:
        return failed(Failure.DEADLINE, f"it ran past its deadline of {grant.deadline_s} s")
    except Cancelled as error:
        return failed(Failure.CANCELLED, error)
    except (TransientFailure, MemoryError) as error:
        return failed(Failure.TRANSIENT, error if str(error) else "out of memory")
    except PermanentFailure as error:
        return failed(Failure.PERMANENT, error)
    except ValidationError as error:
        return failed(Failure.PERMANENT, f"{task.name} does not accept its request or result: {error}")
    except Exception as error:
        log.exception("handler_raised task=%s step=%s", task.name, grant.step)
        return failed(Failure.PERMANENT, f"{type(error).__name__}: {error}")


def _usage(attempt: Attempt) -> dict[str, Any]:
    """What the models cost and which they were; nothing where none was asked."""
    usage, models = attempt.models.usage, attempt.models.describe_used()
    return {**usage.model_dump(), "models": models} if models or usage != Usage() else {}

"""Rings the workers' bell: sends tickets to their lanes through Celery. Nothing is lost if it fails:
a ticket that nobody claims is sent again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol

from celery import Celery
from kombu.exceptions import OperationalError

from master.dispatch.publish import Posting
from tasks.lanes import MASTER_QUEUE
from tasks.log import say
from tasks.queues import is_rabbitmq, queue_named

log = logging.getLogger("d8.bell")

#: After its deadline a handler has this long to end by itself before its process is killed.
HARD_LIMIT_GRACE_S = 30

#: A stale connection is renewed at once; a broker that is away is not waited for.
_RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.2}


class Bell(Protocol):
    def send_tickets(self, postings: Sequence[Posting]) -> None: ...

    def send_pass(self, run_id: str) -> None: ...


class CeleryBell:
    """Sends over the broker that the application is configured for."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._rabbitmq = is_rabbitmq(app.conf.broker_url)

    def send_tickets(self, postings: Sequence[Posting]) -> None:
        """Send each ticket to its lane's queue. A broker that is away is a warning, not an error."""
        self._send(
            [
                (
                    posting.task,
                    posting.ticket.model_dump(),
                    posting.queue,
                    {
                        "task_id": f"{posting.ticket.step}-{posting.ticket.attempt}",
                        "soft_time_limit": posting.deadline_s,
                        "time_limit": posting.deadline_s + HARD_LIMIT_GRACE_S,
                    },
                )
                for posting in postings
            ]
        )

    def send_pass(self, run_id: str) -> None:
        """Ask the master's own worker to advance this run."""
        self._send([("master.advance", {"run_id": run_id}, MASTER_QUEUE, {})])

    def _send(self, messages: list[tuple[str, dict[str, Any], str, dict[str, Any]]]) -> None:
        if not messages:
            return
        try:
            with self._app.producer_or_acquire() as producer:
                for name, kwargs, queue, options in messages:
                    # The queue goes along whole: kombu declares it once per connection, so a broker
                    # that came back empty has it again.
                    self._app.send_task(
                        name,
                        kwargs=kwargs,
                        queue=queue_named(queue, self._rabbitmq),
                        producer=producer,
                        retry=True,
                        retry_policy=_RETRY,
                        **options,
                    )
        except (OperationalError, OSError) as error:
            say(log, logging.WARNING, "broker_away", unsent=len(messages), error=type(error).__name__)

"""The Celery application: the same task names on the master, the workers and in Flower.

A task's body is the same for all: hand the ticket to whatever this process does with tickets. On a
worker that claims and runs the step; anywhere else it is a mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import Celery

from tasks.catalog import TASKS
from tasks.errors import Refused
from tasks.protocol import Ticket
from tasks.spec import TaskSpec

RunTicket = Callable[[TaskSpec[Any, Any], Ticket], None]


def refuse_ticket(task: TaskSpec[Any, Any], ticket: Ticket) -> None:
    raise Refused(f"step {ticket.step}: {task.name} runs on workers only: start one with 'd8 worker start'")


def make_app(run_ticket: RunTicket = refuse_ticket) -> Celery:
    """A Celery application that knows every task of the catalog; connects to nothing yet."""
    app = Celery("d8")
    app.config_from_object("celeryconfig")
    for task in TASKS:
        _register(app, task, run_ticket)
    return app


def _register(app: Celery, task: TaskSpec[Any, Any], run_ticket: RunTicket) -> None:
    def run(step: int, attempt: int, build: str) -> None:
        run_ticket(task, Ticket(step=step, attempt=attempt, build=build))

    # Not shared: each application of a process has its own way with tickets.
    app.task(name=task.name, shared=False)(run)


app = make_app()

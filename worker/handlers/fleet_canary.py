"""Loads every handler, with all that it imports: a library that is missing shows here and not at night."""

from __future__ import annotations

import importlib

from tasks.build import current_build
from tasks.catalog import TASKS
from tasks.errors import PermanentFailure
from tasks.fleet_canary import Request, Result
from worker.handlers.context import Context


def handle(request: Request, context: Context) -> Result:
    """The tasks that this worker can run. ``PermanentFailure`` names the first that it cannot."""
    for number, task in enumerate(TASKS):
        context.progress(number / len(TASKS), task.name)
        try:
            handler = importlib.import_module(task.handler_module)
        except Exception as error:
            raise PermanentFailure(
                f"the handler of {task.name} cannot be loaded: {type(error).__name__}: {error}"
            ) from error
        if not callable(getattr(handler, "handle", None)):
            raise PermanentFailure(f"{task.handler_module} has no function handle")
    return Result(tasks=tuple(task.name for task in TASKS), build=current_build().id)

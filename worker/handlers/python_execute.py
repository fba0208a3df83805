"""Runs given code in the sandbox."""

from __future__ import annotations

import functools

from tasks.python_execute import Request, Result
from worker.handlers.context import Context
from worker.sandbox.execute import execute
from worker.settings import WorkerSettings, load_worker_settings


def handle(request: Request, context: Context) -> Result:
    """The code's outputs; a step that is cancelled ends the code within a moment."""
    settings = _settings()
    return execute(
        request,
        settings,
        settings.sandbox_owner(context.worker),
        lambda share: context.progress(share, "running"),
    )


@functools.cache
def _settings() -> WorkerSettings:
    return load_worker_settings()

"""Scores genomes with a program, in the sandbox."""

from __future__ import annotations

import functools

from tasks import python_execute
from tasks.darwin_environment import Request, Result, read_outputs, whole_program
from worker.handlers.context import Context
from worker.sandbox.execute import execute
from worker.settings import WorkerSettings, load_worker_settings


def handle(request: Request, context: Context) -> Result:
    """One start of the sandbox for all genomes; each has its own time beside the step's."""
    settings = _settings()
    code = whole_program(context.read_artifact(request.program).decode())
    inner = python_execute.Request(
        code=code,
        inputs={"genomes": list(request.genomes), "seconds": request.seconds},
        executor=request.executor,
        trusted=request.trusted,
        limits=request.limits,
    )
    ran = execute(
        inner,
        settings,
        settings.sandbox_owner(context.worker),
        lambda share: context.progress(share, f"scoring {len(request.genomes)} genomes"),
    )
    return Result(outcomes=read_outputs(ran.outputs, request), seconds=ran.seconds)


@functools.cache
def _settings() -> WorkerSettings:
    return load_worker_settings()

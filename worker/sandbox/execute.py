"""Code in, result out: the executor is chosen and the code runs in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from tasks.errors import HandlerError
from tasks.python_execute import DOCKER, VENV, Limits, Request, Result
from tasks.tracing import traced
from worker.sandbox.docker import container
from worker.sandbox.policy import choose_executor, parse_executors
from worker.sandbox.process import fresh_venv, native
from worker.sandbox.running import Running, run_to_end
from worker.settings import WorkerSettings

_PROBE = Request(code="outputs = {'sum': inputs['a'] + 1}", inputs={"a": 41}, limits=Limits(seconds=30))


def execute(request: Request, settings: WorkerSettings, owner: str, tick: Callable[[float], None]) -> Result:
    """Run the code where policy allows it. Errors as ``run_to_end`` and ``choose_executor`` say."""
    allowed = parse_executors(settings.executors)
    executor = choose_executor(request.executor, trusted=request.trusted, allowed=allowed)
    with traced("sandbox", executor=executor), _open(executor, request.limits, settings, owner) as running:
        return run_to_end(running, request, executor, tick)


def probe_executors(settings: WorkerSettings, owner: str) -> tuple[str, ...]:
    """The executors that are allowed here and have just run a line of code: tried, not assumed."""
    return tuple(name for name in parse_executors(settings.executors) if _works(name, settings, owner))


def _works(executor: str, settings: WorkerSettings, owner: str) -> bool:
    try:
        with _open(executor, _PROBE.limits, settings, owner) as running:
            return run_to_end(running, _PROBE, executor, lambda _: None).outputs == {"sum": 42}
    except (HandlerError, OSError):
        return False


def _open(
    executor: str, limits: Limits, settings: WorkerSettings, owner: str
) -> AbstractContextManager[Running]:
    if executor == DOCKER:
        return container(limits, image=settings.sandbox_image, owner=owner)
    return fresh_venv(limits) if executor == VENV else native(limits)

"""What a task is: its name, its request and result, where it runs and for how long."""

from __future__ import annotations

import dataclasses
from typing import Generic, TypeVar

from tasks.needs import NOTHING, Needs
from tasks.record import Record

Req = TypeVar("Req", bound=Record)
Res = TypeVar("Res", bound=Record)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskSpec(Generic[Req, Res]):
    """One kind of work a worker can do."""

    #: The Celery name, ``group.verb``; the handler is ``worker.handlers.<group>_<verb>.handle``.
    name: str
    #: What the master sends with the grant. Small: ids, scalars, short texts.
    request: type[Req]
    #: What the handler returns. Small too; large things are artifacts, named by digest.
    result: type[Res]
    #: Lanes that can run it, best first. The first one that has an active worker is used.
    lanes: tuple[str, ...] = ("cpu",)
    #: One attempt is ended after so long.
    deadline_s: int = 600
    #: So many attempts before the step fails for good (a lost worker does not count).
    max_attempts: int = 3
    #: What it asks of a machine, unless a step says otherwise.
    needs: Needs = NOTHING

    @property
    def handler_module(self) -> str:
        """Dotted name of the module whose ``handle(request, context)`` does the work."""
        return "worker.handlers." + self.name.replace(".", "_")

"""New steps: rows, in the transaction of the pass that asked for them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert

from master.dispatch.states import StepKind, StepState
from master.events import record_event
from master.store import news_of
from master.store.tables import steps
from tasks.needs import NOTHING, Needs

_INSERT = insert(steps)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewStep:
    """A step that a flow asks for, before it has a row."""

    key: str
    task: str
    #: The task's request as JSON.
    request: str
    lanes: tuple[str, ...]
    priority: int
    max_attempts: int
    deadline_s: int
    awaited: bool
    needs: Needs = NOTHING
    #: The only worker that may run it, or "".
    only_worker: str = ""


def digest_request(task: str, request: str) -> str:
    """Tells whether a flow asks under an old key for something new."""
    return hashlib.sha256(f"{task}\0{request}".encode()).hexdigest()[:16]


def create_steps(connection: Connection, run_id: str, new: Sequence[NewStep], *, now: datetime) -> None:
    """Insert steps that are ready to be sent."""
    if not new:
        return
    connection.execute(
        _INSERT,
        [
            {
                "run_id": run_id,
                "key": step.key,
                "kind": StepKind.TASK,
                "task": step.task,
                "state": StepState.READY,
                "priority": step.priority,
                "lanes": ",".join(step.lanes),
                "needs": "" if step.needs == NOTHING else step.needs.model_dump_json(),
                "only_worker": step.only_worker,
                "request": step.request,
                "request_digest": digest_request(step.task, step.request),
                "awaited": step.awaited,
                "max_attempts": step.max_attempts,
                "deadline_s": step.deadline_s,
                "created_at": now,
            }
            for step in new
        ],
    )
    record_event(connection, "steps_created", now, run_id=run_id, count=len(new), first=new[0].key)
    news_of(connection).dispatch = True

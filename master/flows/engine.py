"""One pass of a run: load what is recorded, run the flow function, write down what it wants."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update
from sqlalchemy.exc import IntegrityError

from master.approvals.policy import Policy
from master.approvals.policy_file import PolicyFile
from master.clock import Clock
from master.dispatch.create import create_steps
from master.dispatch.finish import record_outcome
from master.dispatch.states import OPEN_RUNS, OPEN_STEPS, RunState, StepKind, StepState
from master.events import record_event
from master.flows.carried import load_carried, save_kept
from master.flows.context import FlowContext
from master.flows.handle import PassEnds
from master.flows.loading import find_run, is_due, last_seq, load_steps
from master.flows.questions import save_questions
from master.flows.registry import get_flow
from master.flows.rows import insert_step
from master.flows.runs import end_run
from master.settings import Settings
from master.store import Database
from master.store.artifacts import ArtifactFolder, record_artifact
from master.store.tables import runs, steps
from master.store.types import one_of
from tasks.errors import D8Error
from tasks.log import about, say

log = logging.getLogger("d8.flows")


class Superseded(BaseException):
    """Another pass of the same run got ahead: this one's work is dropped, nothing is lost."""


class Engine:
    """Advances runs. Any number of them may work on one database: of two passes that meet, one counts."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        clock: Clock,
        policy: Callable[[], Policy] | None = None,
    ) -> None:
        """``policy`` gives the rules for what flows ask; None: those of the home's ``policy.toml``."""
        self._database = database
        self._settings = settings
        self._clock = clock
        self._policy = policy or PolicyFile(settings.policy_path)
        self._folder = ArtifactFolder(settings.artifact_folder)

    def advance(self, run_id: str) -> None:
        """Run passes until none is due."""
        try:
            with about(run=run_id):
                while self._one_pass(run_id):
                    pass
        except Superseded:
            say(log, logging.INFO, "pass_superseded", run=run_id)

    def due_runs(self, *, limit: int = 100) -> list[str]:
        """Open runs whose next pass is due, the one that has waited longest first."""
        with self._database.read() as connection:
            query = (
                select(runs.c.id)
                .where(one_of(runs.c.state, OPEN_RUNS), runs.c.wake > runs.c.seen)
                .order_by(runs.c.woken_at)
                .limit(limit)
            )
            return list(connection.execute(query).scalars())

    def _one_pass(self, run_id: str) -> bool:
        """True when another pass is due at once."""
        with self._database.read() as connection:
            run = find_run(connection, run_id)
            if run is None or run.state not in OPEN_RUNS or run.wake <= run.seen:
                return False
            recorded = load_steps(connection, run_id)
            carried = load_carried(connection, run_id)
            seq = last_seq(connection, run_id)
        effects = _Effects(self._database, self._folder, run, self._clock)
        context = FlowContext(run_id, self._settings, recorded, effects, carried=carried, now=self._clock())
        result, error = self._run_function(run, context)
        now = self._clock()
        with self._database.write() as connection:
            if not _take(connection, run, context, now):
                raise Superseded
            if not error:
                save_kept(connection, run_id, context)
            if result is not None or error:
                end_run(
                    connection,
                    run_id,
                    RunState.FAILED if error else RunState.DONE,
                    now=now,
                    result=result,
                    error=error,
                )
                return False
            _save_wishes(connection, run_id, context, self._policy, now)
            # What ended while this pass ran did not know that it is awaited.
            if last_seq(connection, run_id) > seq:
                connection.execute(
                    update(runs).where(runs.c.id == run_id).values(wake=runs.c.wake + 1, woken_at=now)
                )
            return is_due(connection, run_id)

    def _run_function(self, run: Row[Any], context: FlowContext) -> tuple[dict[str, Any] | None, str]:
        """The flow's result, or what went wrong, or neither when the pass ended waiting."""
        try:
            flow = get_flow(run.flow)
            return flow.function(context, flow.params.model_validate(run.params)) or {}, ""
        except PassEnds:
            return None, ""
        except D8Error as error:
            return None, str(error)
        except Exception as error:  # a fault in the flow itself: shown, kept, and resumable once mended
            log.exception("flow_raised run=%s flow=%s", run.id, run.flow)
            return None, (
                f"flow {run.flow!r} raised {type(error).__name__}: {error}. Nothing recorded is lost: once the flow "
                f"is mended, 'd8 run retry {run.id}' goes on from here"
            )


class _Effects:
    def __init__(self, database: Database, folder: ArtifactFolder, run: Row[Any], clock: Clock) -> None:
        self._database = database
        self._folder = folder
        self._run = run
        self._clock = clock

    def act(self, key: str, function: Callable[[Connection], Any]) -> Any:
        now = self._clock()
        try:
            with self._database.write() as connection:
                # Locked where rows are: the run is not taken up again from an earlier step meanwhile.
                standing = select(runs.c.state, runs.c.version).where(runs.c.id == self._run.id)
                found = connection.execute(standing.with_for_update(key_share=True)).one()
                if found.state not in OPEN_RUNS or found.version != self._run.version:
                    raise Superseded
                result = json.dumps(function(connection))
                step_id = insert_step(
                    connection,
                    self._run.id,
                    key,
                    StepKind.ACT,
                    StepState.DONE,
                    now,
                    result=result,
                    finished_at=now,
                )
                record_outcome(connection, step_id, self._run.id, 1, StepState.DONE, now)
        except IntegrityError:
            raise Superseded from None
        return json.loads(result)

    def read(self, function: Callable[[Connection], Any]) -> Any:
        with self._database.read() as connection:
            return function(connection)

    def read_artifact(self, digest: str) -> bytes:
        return self._folder.read(digest)

    def write_artifact(self, name: str, data: bytes, media_type: str) -> str:
        digest = self._folder.write(data)
        with self._database.write() as connection:
            record_artifact(
                connection,
                digest,
                name=name,
                media_type=media_type,
                size=len(data),
                run_id=self._run.id,
                now=self._clock(),
            )
        return digest


_TAKE = (
    update(runs)
    .where(
        runs.c.id == bindparam("b_run"),
        runs.c.version == bindparam("b_version"),
        one_of(runs.c.state, OPEN_RUNS),
    )
    .values(
        version=runs.c.version + 1,
        seen=bindparam("b_seen"),
        wake_on=bindparam("b_wake_on"),
        state=bindparam("b_state"),
        progress=bindparam("b_progress"),
        note=bindparam("b_note"),
    )
)


def _take(connection: Connection, run: Row[Any], context: FlowContext, now: datetime) -> bool:
    """Make this pass the one that counts. False when another was faster or the run has ended."""
    waits_for_human = bool(context.awaited) and all(_is_question(context, key) for key in context.awaited)
    state = RunState.WAITING if waits_for_human else RunState.RUNNING
    progress, note = context.shown or (run.progress, run.note)
    values = {
        "b_run": run.id,
        "b_version": run.version,
        "b_seen": run.wake,
        "b_wake_on": context.wake_on,
        "b_state": state,
        "b_progress": progress,
        "b_note": note,
    }
    taken = connection.execute(_TAKE, values)
    if taken.rowcount and state != run.state:
        record_event(connection, f"run_{state}", now, run_id=run.id)
    return bool(taken.rowcount)


_AWAIT = (
    update(steps)
    .where(steps.c.id.in_(bindparam("b_ids", expanding=True)))
    .values(awaited=bindparam("b_awaited"))
)


def _is_question(context: FlowContext, key: str) -> bool:
    recorded = context.recorded.get(key)
    return key in context.new_questions or (recorded is not None and recorded.kind is StepKind.APPROVAL)


def _save_wishes(
    connection: Connection, run_id: str, context: FlowContext, policy: Callable[[], Policy], now: datetime
) -> None:
    for awaited in (True, False):
        changed = [
            step.id
            for step in context.recorded.values()
            if step.state in OPEN_STEPS
            and step.awaited is not awaited
            and (step.key in context.awaited) is awaited
        ]
        for start in range(0, len(changed), 500):
            connection.execute(_AWAIT, {"b_ids": changed[start : start + 500], "b_awaited": awaited})
    new = [
        dataclasses.replace(step, awaited=step.key in context.awaited) for step in context.new_steps.values()
    ]
    create_steps(connection, run_id, new, now=now)
    save_questions(connection, run_id, context, policy, now)

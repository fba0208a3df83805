"""What must always hold. Looked at after every transaction, from the database alone."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from master.dispatch.states import ENDED_STEPS, STEP_MOVES, StepState
from tests.simulation.world import World


class Violation(Exception):
    """A promise was broken."""


@dataclasses.dataclass(frozen=True)
class Seen:
    state: StepState
    attempt: int
    token: str
    result: str


_STEPS = "SELECT id, state, attempt, token, result, worker, session, build, only_worker FROM steps"
_WORKERS = "SELECT name, session, build, state FROM workers"
_ENDS = "SELECT step_id, count(*) FROM outcomes GROUP BY step_id"
_DONE_TWICE = "SELECT step_id FROM events WHERE name = 'step_done' GROUP BY step_id HAVING count(*) > 1"
_OPEN_ATTEMPTS = "SELECT step_id, attempt, session FROM attempts WHERE outcome = ''"
_BUILD = "SELECT value FROM fleet WHERE name = 'build'"


class Row(NamedTuple):
    id: int
    state: str
    attempt: int
    token: str
    result: str | None
    worker: str
    session: str
    build: str
    only_worker: str


class WorkerRow(NamedTuple):
    name: str
    session: str
    build: str
    state: str


class Watch:
    """Remembers how things were, and compares."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: dict[int, Seen] = {}
        self._workers: dict[str, WorkerRow] = {}
        self._changes = -1
        self._build = ""
        #: A failed run may be taken up again just now.
        self.retrying = False
        self.look()

    def look(self) -> None:
        """``Violation`` names the step and what is wrong."""
        raw = self._world.raw
        if raw.total_changes == self._changes:
            return
        self._changes = raw.total_changes
        rows = [Row(*row) for row in raw.execute(_STEPS)]
        ends: dict[int, int] = dict(raw.execute(_ENDS).fetchall())
        workers = {row[0]: WorkerRow(*row) for row in raw.execute(_WORKERS)}
        (build,) = raw.execute(_BUILD).fetchone()
        attempts = set(raw.execute(_OPEN_ATTEMPTS))
        twice = [row[0] for row in raw.execute(_DONE_TWICE)]
        if twice:
            raise Violation(f"steps {twice} were recorded as done twice")
        for row in rows:
            now = Seen(StepState(row.state), row.attempt, row.token, row.result or "")
            before = self._seen.get(row.id)
            if before is not None and before != now:
                self._check_change(row, before, now)
            ended = now.state in (StepState.DONE, StepState.FAILED)
            count = ends.get(row.id, 0)
            if count > 1 or (ended and count != 1) or (now.state not in ENDED_STEPS and count):
                raise Violation(f"step {row.id} is {now.state} and has {count} outcomes")
            if now.state is StepState.RUNNING and (row.id, row.attempt, row.session) not in attempts:
                raise Violation(f"step {row.id} runs as attempt {row.attempt}, which nobody was granted")
            self._seen[row.id] = now
        self._workers, self._build = workers, build

    def _check_change(self, row: Row, before: Seen, now: Seen) -> None:
        if not _reachable(before.state, now.state):
            raise Violation(f"step {row.id} moved from {before.state} to {now.state}")
        if before.state is StepState.DONE and not self.retrying:
            raise Violation(f"step {row.id} was done and changed")
        if now.attempt < before.attempt and now.state not in (StepState.RUNNING, StepState.DONE):
            raise Violation(f"step {row.id} went back from attempt {before.attempt} to {now.attempt}")
        if now.token != before.token and now.token:
            self._check_grant(row, before)

    def _check_grant(self, row: Row, before: Seen) -> None:
        """As things stood before the action: a claim is judged by what was committed when it came."""
        if before.state is not StepState.QUEUED:
            raise Violation(f"step {row.id} was granted while it was {before.state}")
        worker = self._workers.get(row.worker)
        if worker is None or worker.session != row.session:
            raise Violation(f"step {row.id} was granted to a session of {row.worker} that is over")
        if worker.build != row.build or row.build != self._build:
            raise Violation(
                f"step {row.id} of build {row.build} was granted to {row.worker} with {worker.build}, "
                f"the fleet's is {self._build}"
            )
        on_trial = worker.state == "joining" and row.only_worker == worker.name
        if worker.state != "active" and not on_trial:
            raise Violation(f"step {row.id} was granted to {row.worker}, which is {worker.state}")


def _reachable(old: StepState, new: StepState) -> bool:
    """Within one action a step may take up to three of the allowed moves."""
    reached = {old}
    for _ in range(3):
        if new in reached:
            return True
        reached |= {after for state in reached for after in STEP_MOVES[state]}
    return new in reached

"""A fleet in this process: the real flow engine, dispatch, claims and reports on a real database, workers
that are a function, and a clock that runs as fast as they do. For tests and measurements of whole runs."""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import itertools
import secrets
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from master.capabilities import load_capabilities
from master.dispatch.claims import claim_step, record_report
from master.dispatch.losses import record_lost
from master.dispatch.publish import Posting, publish_ready, ring_again
from master.dispatch.reap import reap_leases
from master.fleet.gate import install_build
from master.fleet.workers import join_worker
from master.flows.engine import Engine
from master.flows.runs import start_run
from master.settings import Settings
from master.store import Database
from master.store.migrate import migrate
from master.store.tables import runs
from tasks.protocol import ClaimRequest, Failure, Grant, Hardware, Join, Lost, Report

BUILD = "b" * 12
LEASE_S = 20.0
HARDWARE = Hardware(
    machine="x86_64",
    cpus=2,
    memory_mib=65_536,
    disk_free_mib=4096,
    executors=("docker", "venv", "native"),
)


class Killed(BaseException):
    """The process that wrote is gone."""


@contextlib.contextmanager
def killing(database: Database, chance: Callable[[], str]) -> Iterator[None]:
    """``chance`` is asked at each write whether it is killed "before" or "after" its commit, or not ("")."""
    real = database.write

    @contextlib.contextmanager
    def write(*, durable: bool = True) -> Iterator[Connection]:
        when = chance()
        with real(durable=durable) as connection:
            yield connection
            if when == "before":
                raise Killed
        if when == "after":
            raise Killed

    database.write = write  # type: ignore[method-assign]
    try:
        yield
    finally:
        database.write = real  # type: ignore[method-assign]


@dataclasses.dataclass(frozen=True)
class Work:
    """What became of a granted step."""

    #: Result as JSON; None when it failed with ``error``.
    result: dict[str, Any] | None
    error: str = ""
    #: On the worker's clock.
    seconds: float = 1.0
    #: "done", "crash" (its parent says so) or "hang" (its lease runs out).
    fate: str = "done"


class Rig:
    """``work``: task name, request as JSON and attempt's number to what becomes of it."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        work: Callable[[str, dict[str, Any], int], Work],
        *,
        workers: int = 1,
        now: datetime = datetime(2026, 11, 21, tzinfo=UTC),
    ) -> None:
        self.database = database
        self.settings = settings
        self.now = now
        self.work = work
        #: Worker seconds in which a step was in hand.
        self.busy_s = 0.0
        #: How often each step was worked on to its end, by run and key.
        self.finished: dict[tuple[str, str], int] = {}
        self.idle = list(range(workers))
        self.engine = Engine(database, settings, lambda: self.now)
        self._queue: deque[Posting] = deque()
        self._events: list[tuple[datetime, int, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self.started = now
        self._session = secrets.token_hex(4)
        load_capabilities()
        migrate(database)
        self.write(install_build, BUILD)
        for worker in range(workers):
            # A new session ends what an older one of the same name has left running.
            join = Join(
                worker=f"w{worker}",
                session=self._session,
                build=BUILD,
                lanes=("cpu",),
                slots=1,
                host="h",
                hardware=HARDWARE,
            )
            self.write(join_worker, join, heartbeat_s=30)

    def write(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        with self.database.write() as connection:
            return function(connection, *arguments, now=self.now, **named)

    def start(self, flow: str, params: dict[str, Any]) -> str:
        run_id: str = self.write(start_run, flow, params)
        return run_id

    def run(self, run_id: str, *, until: Callable[[], bool] = lambda: False) -> Any:
        """Works until the run has ended, waits for a human, or ``until`` says so; returns its row."""
        while not until():
            self.engine.advance(run_id)
            self._queue.extend(self.write(publish_ready, waiting_per_slot=4, ring_again_s=5.0))
            self._hand_out()
            if not self._events:
                if self.row(run_id).state != "running" or not self._ring(run_id):
                    break
                continue
            self.now, _, worker, happens = heapq.heappop(self._events)
            happens()
            self.idle.append(worker)
        return self.row(run_id)

    def row(self, run_id: str) -> Any:
        with self.database.read() as connection:
            return connection.execute(select(runs).where(runs.c.id == run_id)).one()

    @property
    def elapsed_s(self) -> float:
        return (self.now - self.started).total_seconds()

    def _ring(self, run_id: str) -> bool:
        """After a kill: what was published and never claimed, or claimed and never reported."""
        for _ in range(4):
            self.now += timedelta(seconds=LEASE_S + 60)
            self.write(reap_leases)
            self._queue.extend(self.write(ring_again, ring_again_s=5.0))
            if self._queue or self.engine.due_runs():
                return True
            if self.write(publish_ready, waiting_per_slot=4, ring_again_s=5.0):
                return True
        return False

    def _hand_out(self) -> None:
        while self._queue and self.idle:
            posting = self._queue.popleft()
            worker = self.idle.pop(0)
            request = ClaimRequest(
                worker=f"w{worker}",
                session=self._session,
                step=posting.ticket.step,
                attempt=posting.ticket.attempt,
                build=BUILD,
                claim=f"claim-{next(self._serial):08}",
            )
            grant = self.write(claim_step, request, lease_s=LEASE_S)
            if not isinstance(grant, Grant):
                self.idle.append(worker)
                continue
            self._begin(worker, grant)

    def _begin(self, worker: int, grant: Grant) -> None:
        request = grant.request
        work = self.work(grant.task, request, grant.attempt)
        seconds = LEASE_S + 1 if work.fate == "hang" else work.seconds
        happens = {"done": self._report, "crash": self._lose, "hang": self._reap}[work.fate]

        def end() -> None:
            happens(worker, grant, work)
            self.busy_s += seconds

        at = self.now + timedelta(seconds=seconds)
        heapq.heappush(self._events, (at, next(self._serial), worker, end))

    def _report(self, worker: int, grant: Grant, work: Work) -> None:
        report = Report(
            step=grant.step,
            attempt=grant.attempt,
            token=grant.token,
            worker=f"w{worker}",
            result=work.result,
            failure=None if work.result is not None else Failure.PERMANENT,
            error=work.error,
        )
        self.write(record_report, report)
        name = (grant.run, grant.key)
        self.finished[name] = self.finished.get(name, 0) + 1

    def _lose(self, worker: int, grant: Grant, work: Work) -> None:
        lost = Lost(
            worker=f"w{worker}",
            session=self._session,
            step=grant.step,
            attempt=grant.attempt,
            failure=Failure.CRASHED,
            error="its process died",
        )
        self.write(record_lost, lost)

    def _reap(self, worker: int, grant: Grant, work: Work) -> None:
        self.write(reap_leases)

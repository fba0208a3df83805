"""A fleet in memory: the real database code on SQLite in memory, a virtual clock, a broker that loses,
doubles and reorders, workers that crash, hang and come back. One seed decides everything."""

from __future__ import annotations

import dataclasses
import functools
import random
import sqlite3
import string
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection

import master.dispatch.claims
import master.flows.runs
from master.capabilities import load_capabilities
from master.dispatch.publish import Posting, publish_ready, ring_again
from master.dispatch.reap import reap_leases
from master.fleet.gate import install_build
from master.fleet.workers import hear_worker, join_worker, miss_workers
from master.flows.engine import Engine
from master.settings import Settings
from master.store import Database
from master.store.migrate import migrate
from master.trials import close_canaries, start_canaries
from tasks.errors import D8Error
from tasks.lanes import lane_queue, worker_queue
from tasks.protocol import Grant, Hardware, Heartbeat, Join

HARDWARE = Hardware(machine="x", cpus=2, memory_mib=4096, disk_free_mib=4096)
LEASE_S, HEARTBEAT_S, RING_AGAIN_S = 20.0, 30.0, 5.0


@dataclasses.dataclass
class Held:
    """A grant that a worker's process works on."""

    grant: Grant
    session: str
    build: str
    #: It has a result that the master may or may not have.
    finished: bool = False


@dataclasses.dataclass
class Worker:
    name: str
    build: str
    slots: int
    session: str = ""
    up: bool = False
    joined: bool = False
    #: Hears nothing and is not heard.
    cut: bool = False
    trial_from: str = ""
    skew_s: float = 0.0
    held: list[Held] = dataclasses.field(default_factory=list)
    #: Results on its disk: they outlive its processes.
    spool: list[Held] = dataclasses.field(default_factory=list)


@functools.cache
def _template() -> sqlite3.Connection:
    """An empty database with all tables."""
    load_capabilities()
    database = Database("sqlite://")
    migrate(database)
    copy = sqlite3.connect(":memory:")
    connection = database.engine.raw_connection()
    connection.driver_connection.backup(copy)  # type: ignore[union-attr]
    connection.close()
    database.close()
    return copy


@functools.cache
def _shared_database() -> Database:
    """One connection for all seeds of this process: its compiled statements stay."""
    return Database("sqlite://")


class World:
    """What the actions act on."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.now = datetime(2026, 11, 21, tzinfo=UTC)
        self.trace: list[str] = []
        self.queues: dict[str, list[Posting]] = defaultdict(list)
        self.builds = 0
        self.runs: list[str] = []
        self.retried: set[int] = set()
        self.settings = Settings(_env_file=None, home="/nonexistent/d8")  # type: ignore[call-arg,arg-type]
        _make_chance_ours(self.chance)
        self.database = _shared_database()
        pooled = self.database.engine.raw_connection()
        #: The connection itself, for looks at what is there.
        self.raw: sqlite3.Connection = pooled.driver_connection  # type: ignore[assignment]
        _template().backup(self.raw)
        pooled.close()
        self.due: set[str] = set()
        self.database.listeners[:] = [lambda news: self.due.update(news.runs)]
        self.engine = Engine(self.database, self.settings, lambda: self.now)
        self.workers = [
            Worker(name=f"w{number}", build="", slots=self.chance.randint(1, 3))
            for number in range(self.chance.randint(2, 4))
        ]
        self.new_build()
        for worker in self.workers:
            worker.build = self.build
            self.start_worker(worker)

    def say(self, text: str) -> None:
        self.trace.append(f"{(self.now - datetime(2026, 11, 21, tzinfo=UTC)).total_seconds():8.1f} {text}")

    def write(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """One transaction at the world's time; what it did is looked at before anything else happens."""
        with self.database.write() as connection:
            value = function(connection, *arguments, now=self.now, **named)
        self.watch()
        return value

    def read(self, function: Callable[[Connection], Any]) -> Any:
        with self.database.read() as connection:
            return function(connection)

    # The master.

    def new_build(self) -> None:
        self.builds += 1
        self.build = f"{self.builds:012x}"
        self.write(install_build, self.build)

    def publish(self) -> None:
        self.post(self.write(publish_ready, waiting_per_slot=2, ring_again_s=RING_AGAIN_S))

    def post(self, postings: list[Posting]) -> None:
        """To the broker; some never arrive, and some arrive twice."""
        for posting in postings:
            fate = self.chance.random()
            if fate < 0.05 and self.faulty:
                self.say(f"lost on the way: {_named(posting)}")
                continue
            self.queues[posting.queue].extend([posting] * (2 if fate > 0.93 and self.faulty else 1))

    faulty = True
    #: Called after every transaction.
    watch: Callable[[], None] = staticmethod(lambda: None)

    def sweep(self) -> None:
        """The duties' round. The master may be killed between any two transactions of it."""
        self.write(reap_leases)
        if self.killed():
            return
        self.write(miss_workers, heartbeat_s=HEARTBEAT_S)
        self.write(start_canaries)
        self.write(close_canaries)
        again = self.write(ring_again, ring_again_s=RING_AGAIN_S)
        if self.killed():
            return
        self.post(again)
        self.publish()
        self.due.update(self.engine.due_runs())
        self.advance_all()

    def killed(self) -> bool:
        if self.faulty and self.chance.random() < 0.04:
            self.say("the master is killed in its sweep")
            self.due.clear()
            return True
        return False

    def advance_all(self) -> None:
        due, self.due = sorted(self.due), set()
        for run_id in due:
            self.engine.advance(run_id)

    # The workers.

    def start_worker(self, worker: Worker) -> None:
        """A new session; what the old one held in memory is gone."""
        worker.session = f"{worker.name}-{self.chance.getrandbits(32):08x}"
        worker.up, worker.joined = True, False
        worker.held.clear()
        self.heartbeat(worker)

    def heartbeat(self, worker: Worker) -> None:
        """Join or be heard, and deliver what the disk holds; a worker that is cut off cannot."""
        from tests.simulation.working import deliver_spool

        if not worker.up or worker.cut:
            return
        sent_at = self.now + timedelta(seconds=worker.skew_s)
        try:
            if worker.joined:
                message = Heartbeat(
                    worker=worker.name, session=worker.session, hardware=HARDWARE, sent_at=sent_at
                )
                welcome = self.write(hear_worker, message, heartbeat_s=HEARTBEAT_S)
            else:
                join = Join(
                    worker=worker.name,
                    session=worker.session,
                    build=worker.build,
                    lanes=("cpu",),
                    slots=worker.slots,
                    host=worker.name,
                    hardware=HARDWARE,
                    trial_from=worker.trial_from,
                    sent_at=sent_at,
                )
                welcome = self.write(join_worker, join, heartbeat_s=HEARTBEAT_S)
                worker.joined = True
        except D8Error:
            worker.joined = False
            return
        if worker.trial_from and welcome.state != "joining":
            worker.trial_from = ""
        deliver_spool(self, worker)

    def listens_to(self, worker: Worker) -> tuple[str, str]:
        return lane_queue("cpu", worker.build), worker_queue(worker.name, worker.build)


def _named(posting: Posting) -> str:
    return f"step {posting.ticket.step} attempt {posting.ticket.attempt} of build {posting.ticket.build}"


def _make_chance_ours(chance: random.Random) -> None:
    """Names and tokens come from the seed, too, so that a seed is the same twice."""
    letters = string.ascii_lowercase
    ours = SimpleNamespace(
        token_hex=lambda size: f"{chance.getrandbits(8 * size):0{2 * size}x}",
        choice=lambda values: chance.choice(values or letters),
    )
    master.dispatch.claims.secrets = ours  # type: ignore[assignment]
    master.flows.runs.secrets = ours  # type: ignore[assignment]

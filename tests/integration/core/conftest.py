"""A real database with one fleet in it, a clock that stands still until it is moved, a silent bell."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from master.capabilities import load_capabilities
from master.dispatch.claims import claim_step
from master.dispatch.publish import publish_ready
from master.fleet.gate import install_build
from master.fleet.workers import join_worker
from master.flows.engine import Engine
from master.flows.runs import start_run
from master.settings import Settings, load_settings
from master.store import Database
from master.store.migrate import migrate
from master.store.tables import steps
from tasks.protocol import ClaimRequest, Grant, Hardware, Join, Refusal, Report
from tests.integration.conftest import copy_fresh
from tests.servers import Postgres

BUILD = "b" * 12
#: The database of PostgreSQL that the others are copies of.
_FRESH = "fresh"
HARDWARE = Hardware(machine="x86_64", cpus=2, memory_mib=4096, disk_free_mib=4096)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A real PostgreSQL server of these tests."""
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    load_capabilities()
    made = Database(server.create_database(_FRESH))
    migrate(made)
    made.close()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def database(request: pytest.FixtureRequest, tmp_path: Path, fresh_database: Path) -> Iterator[Database]:
    """With this release's tables, copied: migrating takes longer than most of these tests."""
    load_capabilities()
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'd8.sqlite3'}"
        copy_fresh(fresh_database, url)
        made = Database(url)
    else:
        server = request.getfixturevalue("postgres")
        made = Database(server.create_database(f"t{secrets.token_hex(8)}", template=_FRESH))
    yield made
    made.close()


@dataclasses.dataclass
class Bench:
    """The core on a real database, driven by hand."""

    database: Database
    settings: Settings
    now: datetime = dataclasses.field(default_factory=lambda: datetime(2026, 11, 21, tzinfo=UTC))

    def __post_init__(self) -> None:
        self.engine = Engine(self.database, self.settings, self.clock)

    def clock(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def write(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        with self.database.write() as connection:
            return function(connection, *arguments, now=self.now, **named)

    def read(self, function: Callable[[Connection], Any]) -> Any:
        with self.database.read() as connection:
            return function(connection)

    def install(self, build: str = BUILD) -> None:
        self.write(install_build, build)

    def join(
        self, name: str = "one", *, build: str = BUILD, session: str = "session-1", slots: int = 8
    ) -> Any:
        join = Join(
            worker=name,
            session=session,
            build=build,
            lanes=("cpu",),
            slots=slots,
            host="h",
            hardware=HARDWARE,
        )
        return self.write(join_worker, join, heartbeat_s=30)

    def start(self, flow: str = "noop", **params: Any) -> str:
        run_id: str = self.write(start_run, flow, params)
        self.engine.advance(run_id)
        return run_id

    def publish(self) -> list[Any]:
        return list(self.write(publish_ready, waiting_per_slot=4, ring_again_s=5.0))

    def claim(
        self,
        ticket: Any,
        name: str = "one",
        *,
        session: str = "session-1",
        build: str = "",
        claim: str = "claim-01",
    ) -> Grant | Refusal:
        request = ClaimRequest(
            worker=name,
            session=session,
            step=ticket.step,
            attempt=ticket.attempt,
            build=build or ticket.build,
            claim=claim,
        )
        answer: Grant | Refusal = self.write(claim_step, request, lease_s=20)
        return answer

    def granted(self, ticket: Any, **named: Any) -> Grant:
        answer = self.claim(ticket, **named)
        assert isinstance(answer, Grant), answer
        return answer

    def step(self, step_id: int) -> Any:
        return self.read(lambda c: c.execute(select(steps).where(steps.c.id == step_id)).one())


@pytest.fixture
def bench(database: Database, d8_home: Path) -> Bench:
    made = Bench(database, load_settings())
    made.install()
    made.join()
    return made


def result_of(grant: Grant, echo: str = "x") -> Report:
    return Report(
        step=grant.step,
        attempt=grant.attempt,
        token=grant.token,
        worker="one",
        result={"echo": echo, "started_at_s": 1.0},
    )

"""A master's application, a browser in front of it, and the same database beside them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, insert
from starlette.testclient import TestClient

from master.api.auth import COOKIE, FORM_HEADER, form_token
from master.approvals import ApprovalType, Policy, Question, create_approval, get_approval
from master.clock import utc_now
from master.store import Database
from master.store.tables import runs, steps, workers
from master.tokens import Scope, create_token
from tasks.protocol import ModelServerStats

ORIGIN = "http://testserver"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
T = TypeVar("T")


@dataclasses.dataclass
class Stage:
    """A master's application, a browser, and the same database beside them."""

    browser: TestClient
    database: Database
    home: Path

    def write(self, function: Callable[[Connection], T]) -> T:
        with self.database.write() as connection:
            return function(connection)

    def read(self, function: Callable[[Connection], T]) -> T:
        with self.database.read() as connection:
            return function(connection)

    def code(self, *, scope: Scope = Scope.OWNER, minutes: int = 15) -> str:
        now = datetime.now(UTC)
        until = now + timedelta(minutes=minutes)
        return self.write(lambda c: create_token(c, scope, "dashboard", now=now, expires_at=until))

    def login(self) -> None:
        assert self.browser.get("/login", params={"code": self.code()}).status_code == 200
        self.browser.headers["origin"] = ORIGIN
        self.browser.headers[FORM_HEADER] = form_token(self.browser.cookies[COOKIE])

    def ask(self, title: str = "Register example.com", cost_minor: int = 1210) -> str:
        """A run that waits for the answer to one question; returns the request's id."""
        now = datetime.now(UTC)
        question = Question(
            type=ApprovalType.PAYMENT,
            title=title,
            reason=f"because {title}",
            cost_minor=cost_minor,
            evidence={title: title},
        )

        def put(connection: Connection) -> str:
            run_id = f"fleet.canary-{hashlib.sha256(title.encode()).hexdigest()[:6]}"
            self.put_run(connection, run_id, "waiting", note=title, params={title: title})
            step = {"run_id": run_id, "key": title, "kind": "approval", "task": "", "state": "waiting"}
            step_id = connection.execute(
                insert(steps).values(**step, created_at=now).returning(steps.c.id)
            ).scalar_one()
            return create_approval(
                connection, question, run_id=run_id, step_id=step_id, step_key=title, policy=Policy(), now=now
            )

        return self.write(put)

    @staticmethod
    def put_run(connection: Connection, run_id: str, state: str, **values: object) -> None:
        now = datetime.now(UTC)
        connection.execute(
            insert(runs).values(
                **{"id": run_id, "flow": "fleet.canary", "params": {}, "state": state, **values},
                woken_at=now,
                created_at=now,
                # Far from due: no conductor takes it up during the test.
                wake=0,
                seen=0,
            )
        )

    def decision(self, approval_id: str, **fields: str) -> dict[str, str]:
        digest = self.read(lambda c: get_approval(c, approval_id)).digest
        return {"digest": digest, "back": "home", **fields}


def put_worker(stage: Stage, name: str, stats: ModelServerStats | None) -> None:
    now = utc_now()
    values = {
        "name": name, "session": "s" * 8, "state": "active", "build": "b", "lanes": ["cpu"], "slots": 2, "host": "h",
        "hardware": {"machine": "x86_64", "cpus": 8, "memory_mib": 4096, "disk_free_mib": 9, "gpus": []},
        "model_server": None if stats is None else stats.model_dump(mode="json"), "joined_at": now, "seen_at": now,
    }  # fmt: skip
    stage.write(lambda c: c.execute(insert(workers).values(**values)))

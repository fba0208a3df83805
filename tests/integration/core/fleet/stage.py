"""Workers that join, claim and report by hand, and how they stand."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update

from master.dispatch.claims import record_report
from master.fleet.notices import list_notices
from master.fleet.roster import list_workers
from master.fleet.workers import hear_worker, join_worker
from master.store.tables import steps
from tasks.needs import Needs
from tasks.protocol import Gpu, Grant, Heartbeat, Join, Refusal, Report
from tests.integration.core.conftest import BUILD, HARDWARE, Bench

GPU = HARDWARE.model_copy(update={"gpus": (Gpu(name="card", memory_mib=24_000),)})
SANDBOX = HARDWARE.model_copy(update={"executors": ("docker",)})


def join(bench: Bench, name: str, **more: Any) -> Any:
    values = {
        "worker": name, "session": f"session-{name}", "build": BUILD, "lanes": ("cpu",), "slots": 2, "host": "h",
        "hardware": HARDWARE, **more,
    }  # fmt: skip
    return bench.write(join_worker, Join(**values), heartbeat_s=30)


def beat(bench: Bench, name: str, **more: Any) -> Any:
    message = Heartbeat(worker=name, session=f"session-{name}", hardware=HARDWARE, **more)
    return bench.write(hear_worker, message, heartbeat_s=30)


def standing(bench: Bench, name: str) -> dict[str, Any]:
    return next(worker for worker in bench.read(list_workers) if worker["name"] == name)


def claim(bench: Bench, posting: Any, name: str, claim: str = "claim-01") -> Grant | Refusal:
    return bench.claim(posting.ticket, name, session=f"session-{name}", claim=claim)


def set_needs(bench: Bench, needs: Needs, **more: Any) -> None:
    with bench.database.write() as connection:
        connection.execute(update(steps).values(needs=needs.model_dump_json(), **more))


def open_kinds(bench: Bench) -> list[str]:
    return [notice.kind for notice in bench.read(list_notices)]


def report(bench: Bench, grant: Grant, worker: str, **more: Any) -> None:
    bench.write(
        record_report,
        Report(step=grant.step, attempt=grant.attempt, token=grant.token, worker=worker, **more),
    )

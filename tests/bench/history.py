"""A master's years: runs, steps, attempts, outcomes, events, approvals and money, written straight into a
database as the master would have left them. For measurements, and for tests of what a page may cost."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select

from master.approvals.tables import approvals
from master.clients.brief import parse_brief
from master.clients.tables import clients
from master.ledger.entries import Entry, Kind, Posting
from master.ledger.journal import append_entry
from master.niches.tables import niches
from master.store import Database
from master.store.artifacts import ArtifactFolder
from master.store.tables import artifacts, attempts, events, notices, outcomes, runs, steps, workers
from tasks.protocol import Gpu, Hardware
from tests.support import ROOT

#: What a step leaves: claimed and done.
_EVENTS_A_STEP = 2
_FLOWS = ("niche", "client", "fleet.canary")
_TASK_OF = {
    "niche": "niche.analyse",
    "client": "client.copy",
    "fleet.canary": "fleet.canary",
}
_PARAMS_OF: dict[str, dict[str, Any]] = {
    "niche": {
        "exports": [{"name": "keywords.csv", "market": "", "digest": "a" * 64}],
        "markets": ["spain"],
        "domain_from_score": 70.0,
        "max_keywords": 1500,
    },
}
_WORKERS = tuple(f"host-{number:02}" for number in range(20))
_AT_ONCE = 20_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """How much there is."""

    events: int = 1_000_000
    #: Steps of the largest run.
    largest: int = 20_000
    #: Steps of the one in the middle of all others.
    usual: int = 120
    decided: int = 2_000
    pending: int = 8
    ledger_entries: int = 6_000
    months: int = 24
    clients: int = 400
    niche_runs: int = 40

    @property
    def steps(self) -> int:
        return self.events // _EVENTS_A_STEP


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Run:
    id: str
    flow: str
    steps: int
    state: str
    at: datetime


def fill(database: Database, size: Size, *, until: datetime, seed: int = 7) -> dict[str, list[str]]:
    """Write it all, ending at ``until``; returns ids to look at by parameter name: of runs the largest, one
    that has ended, one that runs and one that waits; clients, approvals, workers."""
    chance = random.Random(seed)
    planned = list(_plan(size, until, chance))
    with database.write() as connection:
        _put_workers(connection, until)
        _put_runs(connection, planned)
        first = (connection.execute(select(func.max(steps.c.id))).scalar() or 0) + 1
        _put(connection, steps, _steps(planned, first, chance))
        _put(connection, attempts, _attempts(planned, first))
        _put(connection, outcomes, _outcomes(planned, first))
        _put(connection, events, _events(planned, first, size.events))
        asked = _put_approvals(connection, planned, first, size, until)
        _put_ledger(connection, planned, size, until, chance)
        made = _put_work(connection, planned, size, until)
    shown = [planned[0].id, planned[1].id]
    shown += [next(run.id for run in planned if run.state == state) for state in ("running", "waiting")]
    return {
        "run_id": shown,
        "approval_id": asked,
        "worker": [_WORKERS[0]],
        "/runs/{run_id}/step": [f"{shown[0]}?key=evaluate:{size.largest - 1}"],
        **made,
    }


def put_files(folder: ArtifactFolder, ids: dict[str, list[str]]) -> None:
    """The bytes of those artifacts that are looked at."""
    for run_id, _ in (pair.split(",") for pair in ids["run_id,digest"]):
        folder.write(run_id.encode())


def _plan(size: Size, until: datetime, chance: random.Random) -> Iterator[_Run]:
    """The largest first, then others of 1 to some 2,000 steps; the last ones are still open."""
    left = size.steps - size.largest
    yield _Run(
        id="niche-largest",
        flow="niche",
        steps=size.largest,
        state="done",
        at=until - timedelta(days=3),
    )
    number = 0
    while left > 0:
        count = min(left, max(1, int(chance.lognormvariate(math.log(size.usual), 1.2))))
        left -= count
        number += 1
        flow = _FLOWS[number % len(_FLOWS)]
        state = "done" if left > 2 * count else ("running", "waiting")[number % 2]
        state = "failed" if state == "done" and number % 23 == 0 else state
        # Over two years, the newest last.
        at = until - timedelta(days=730.0 * left / size.steps, minutes=5)
        yield _Run(id=f"{flow}-{number:06}", flow=flow, steps=count, state=state, at=at)
    for state in ("running", "waiting"):
        yield _Run(id=f"niche-{state}", flow="niche", steps=12, state=state, at=until - timedelta(minutes=4))


def _put(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    iterator = iter(rows)
    statement = insert(table)
    while part := list(islice(iterator, _AT_ONCE)):
        connection.execute(statement, part)


def _put_runs(connection: Connection, planned: list[_Run]) -> None:
    rows = []
    for run in planned:
        ended = run.state in ("done", "failed")
        rows.append(
            {
                "id": run.id,
                "flow": run.flow,
                "params": _PARAMS_OF.get(run.flow, {}),
                "state": run.state,
                # Far from due: no conductor takes it up while somebody looks.
                "wake": 0,
                "seen": 0,
                "woken_at": run.at,
                "result": {"best": 0.93, "why": "budget"} if ended else None,
                "error": "the step 'deliver' failed" if run.state == "failed" else "",
                "progress": 1.0 if run.state == "done" else 0.4,
                "note": f"{run.steps} steps of {run.flow}",
                "created_at": run.at,
                "finished_at": run.at + timedelta(seconds=run.steps) if ended else None,
                "costed": True,
            }
        )
    _put(connection, runs, rows)


def _each(planned: list[_Run], first: int) -> Iterator[tuple[int, _Run, int]]:
    step_id = first
    for run in planned:
        for number in range(run.steps):
            yield step_id, run, number
            step_id += 1


def _is_open(run: _Run, number: int) -> bool:
    return run.state in ("running", "waiting") and number >= run.steps - 4


def _steps(planned: list[_Run], first: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    usage = json.dumps({"models": [], "prompt_tokens": 812, "generated_tokens": 96, "seconds": 1.4})
    request = json.dumps({"genome": "g" * 64, "example": "e" * 64, "seed": 7})
    result = json.dumps({"score": 0.71, "answer": "yes", "seconds": 1.4})
    for step_id, run, number in _each(planned, first):
        is_open = _is_open(run, number)
        failed = not is_open and run.state == "failed" and number == run.steps - 1
        at = run.at + timedelta(seconds=number)
        yield {
            "id": step_id,
            "run_id": run.id,
            "key": f"evaluate:{number}",
            "kind": "approval" if is_open and run.state == "waiting" else "task",
            "task": _TASK_OF[run.flow],
            # Nothing of it is claimed or published while somebody looks.
            "state": "waiting" if is_open else "failed" if failed else "done",
            "lanes": "cpu",
            "request": request,
            "result": None if is_open or failed else result,
            "error": "the worker's handler failed: no route to host" if failed else "",
            "usage": usage if number % 3 == 0 else "{}",
            "attempt": 1 + (chance.random() < 0.02),
            "max_attempts": 3,
            "build": "77b0e4d0a1b2",
            "worker": _WORKERS[number % len(_WORKERS)],
            "created_at": at,
            "claimed_at": None if is_open else at,
            "finished_at": None if is_open else at + timedelta(seconds=2),
            "folded": not is_open,
        }


def _attempts(planned: list[_Run], first: int) -> Iterator[dict[str, Any]]:
    for step_id, run, number in _each(planned, first):
        if not _is_open(run, number):
            at = run.at + timedelta(seconds=number)
            yield {
                "step_id": step_id,
                "attempt": 1,
                "worker": _WORKERS[number % len(_WORKERS)],
                "session": "s" * 16,
                "build": "77b0e4d0a1b2",
                "claimed_at": at,
                "ended_at": at + timedelta(seconds=2),
                "outcome": "done",
            }


def _outcomes(planned: list[_Run], first: int) -> Iterator[dict[str, Any]]:
    for step_id, run, number in _each(planned, first):
        if not _is_open(run, number):
            at = run.at + timedelta(seconds=number + 2)
            yield {"step_id": step_id, "run_id": run.id, "attempt": 1, "state": "done", "at": at}


def _events(planned: list[_Run], first: int, most: int) -> Iterator[dict[str, Any]]:
    count = 0
    for step_id, run, number in _each(planned, first):
        worker = _WORKERS[number % len(_WORKERS)]
        at = run.at + timedelta(seconds=number)
        for name, later_s in (("step_claimed", 0), ("step_done", 2)):
            if count == most:
                return
            count += 1
            yield {
                "at": at + timedelta(seconds=later_s),
                "name": name,
                "run_id": run.id,
                "step_id": step_id,
                "worker": worker,
                "data": {"attempt": 1},
            }


def _put_workers(connection: Connection, until: datetime) -> None:
    gpu = Gpu(name="NVIDIA GeForce RTX 3090", memory_mib=24_576, memory_used_mib=9_000, temperature_c=61)
    hardware = Hardware(machine="x86_64", cpus=16, memory_mib=65_536, disk_free_mib=400_000, gpus=(gpu,))
    rows = [
        {
            "name": name,
            "session": "s" * 16,
            "state": "active" if number % 5 else "offline",
            "reason": "" if number % 5 else "silent since this morning",
            "build": "77b0e4d0a1b2",
            "lanes": ["cpu", "gpu"],
            "slots": 4,
            "host": name,
            "hardware": hardware.model_dump(mode="json"),
            "joined_at": until - timedelta(days=100),
            # A reaper that looks while somebody measures finds them heard of.
            "seen_at": until + timedelta(days=1),
        }
        for number, name in enumerate(_WORKERS)
    ]
    _put(connection, workers, rows)
    told = {"worker": _WORKERS[0], "reason": "silent since this morning"}
    notice = {"subject": f"worker:{_WORKERS[0]}", "kind": "worker_offline", "data": told, "opened_at": until}
    _put(connection, notices, [notice])


def _put_approvals(
    connection: Connection, planned: list[_Run], first: int, size: Size, until: datetime
) -> list[str]:
    rows, step_id = [], first
    for number in range(size.decided + size.pending):
        is_pending = number >= size.decided
        at = until - timedelta(hours=size.decided + size.pending - number)
        rows.append(
            {
                "id": f"a{number:05}",
                "step_id": step_id + number,
                "run_id": planned[number % len(planned)].id,
                "step_key": f"evaluate-{number}",
                "type": "PAYMENT",
                "state": "pending" if is_pending else ("executed", "approved", "rejected")[number % 3],
                "title": f"Register example-{number}.com",
                "reason": "The site needs a name of its own",
                "tried": "",
                "cost_minor": 1210,
                "currency": "EUR",
                "category": "domains",
                "project": f"project-{number % 40}",
                "payload": {"domain": f"example-{number}.com"},
                "evidence": {"price": "12.10 EUR at the registry", "demand": "5,400 searches a month"},
                "revision": 1,
                "digest": hashlib.sha256(str(number).encode()).hexdigest(),
                "created_at": at,
                "asked_at": at,
                "expires_at": until + timedelta(days=30),
                "decided_at": None if is_pending else at + timedelta(minutes=7),
                "decided_by": "" if is_pending else "owner",
                "door": "" if is_pending else "telegram",
            }
        )
    _put(connection, approvals, rows)
    return [str(rows[-1]["id"])]


def _put_ledger(
    connection: Connection, planned: list[_Run], size: Size, until: datetime, chance: random.Random
) -> None:
    """Through the ledger itself: the chain and the budgets' sums are as they would be."""
    for number in range(size.ledger_entries):
        at = until - timedelta(days=30.4 * size.months * (1 - (number + 1) / size.ledger_entries))
        minor = chance.randrange(1, 5000)
        earned = number % 7 == 0
        accounts = ("assets:bank", "income:clients") if earned else ("expenses:domains", "assets:bank")
        entry = Entry(
            idempotency_key=f"history-{number}",
            at=at,
            kind=Kind.INCOME if earned else Kind.EXPENSE,
            run_id=planned[number % len(planned)].id,
            project=f"project-{number % 40}",
            category="" if earned else "domains",
            month=at.astimezone(UTC).strftime("%Y-%m"),
            note="as it was agreed",
            by="owner",
            postings=(
                Posting(account=accounts[0], minor=minor, currency="EUR"),
                Posting(account=accounts[1], minor=-minor, currency="EUR"),
            ),
        )
        append_entry(connection, entry)


def _put_work(
    connection: Connection, planned: list[_Run], size: Size, until: datetime
) -> dict[str, list[str]]:
    """What the capabilities keep: clients, niches, artifacts."""
    brief = parse_brief((ROOT / "examples" / "brief.yaml").read_bytes(), "examples/brief.yaml")
    of_clients = [run.id for run in planned if run.flow == "client"]
    states = ("completed", "completed", "failed", "completed", "in_progress")
    _put(
        connection,
        clients,
        [
            {
                "id": f"client-{number:04}",
                "name": f"Bakery {number}",
                "state": states[number % len(states)],
                "brief": brief.model_dump(mode="json"),
                "brief_sha256": hashlib.sha256(str(number).encode()).hexdigest(),
                "ordinal": 1,
                "run_id": of_clients[number % len(of_clients)],
                "created_at": until - timedelta(hours=number),
            }
            for number in range(size.clients)
        ],
    )
    studies = [run.id for run in planned if run.flow == "niche"][-size.niche_runs :]
    _put(
        connection,
        niches,
        [
            {
                "run_id": run_id,
                "market": "spain",
                "rank": rank,
                "label": f"niche {rank}",
                "score": 80.0 - rank,
                "low": 70.0 - rank,
                "high": 88.0 - rank,
                "demand": 5400.0,
                "keywords": 40,
            }
            for run_id in studies
            for rank in range(1, 31)
        ],
    )
    _put(
        connection,
        artifacts,
        [
            {
                "digest": hashlib.sha256(f"{run.id}".encode()).hexdigest(),
                "name": "report.md",
                "media_type": "text/markdown",
                "size": 20_000,
                "run_id": run.id,
                "created_at": run.at,
            }
            for run in planned
        ],
    )
    digest = hashlib.sha256(planned[0].id.encode()).hexdigest()
    return {
        "client_id": ["client-0000"],
        "/niches/{run_id}": studies[-1:],
        "run_id,digest": [f"{planned[0].id},{digest}"],
    }

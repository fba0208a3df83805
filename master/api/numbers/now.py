"""How the fleet is at this moment. Every question is answered by an index or by a table that stays small."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, text

from master.approvals.tables import approvals
from master.dispatch.publish import fleet_value
from master.ledger.budgets import OVERALL
from master.ledger.tables import ledger_budget_use
from master.store.tables import RUNS_OPEN, STEPS_IN_FLIGHT, runs, steps, workers
from tasks.lanes import CPU, LANES
from tasks.protocol import Hardware, ModelServerStats
from tasks.record import Record

#: What is too much to be told apart.
OTHER = "other"
#: More machines than this are not told apart.
MOST_HOSTS = 20
#: Pairs of category and currency.
MOST_SPENT = 8
#: The oldest steps that wait, which depth and age by lane are computed from.
WINDOW = 10_000

BY_STATE = select(steps.c.state, func.count()).where(STEPS_IN_FLIGHT).group_by(steps.c.state)
BY_RUN_STATE = select(runs.c.state, func.count()).where(RUNS_OPEN).group_by(runs.c.state)
_OLDEST = (
    select(steps.c.id)
    .where(STEPS_IN_FLIGHT, text("steps.state IN ('ready','queued')"))
    .order_by(steps.c.id)
    .limit(WINDOW)
)
WAITING = (
    # A step that is ready has no lane yet: it counts for the one that suits it best.
    select(
        steps.c.lane, steps.c.lanes, func.count().label("steps"), func.min(steps.c.created_at).label("oldest")
    )
    .where(steps.c.id.in_(_OLDEST))
    .group_by(steps.c.lane, steps.c.lanes)
)
PENDING = select(func.count(), func.min(approvals.c.created_at)).where(approvals.c.state == "pending")


class Lane(Record):
    waiting: int = 0
    oldest_s: float = 0.0


class HostGpus(Record):
    """All GPUs of one machine together."""

    memory_mib: int
    used_mib: int
    #: Mean over its GPUs, 0 to 1; None where no driver tells.
    use: float | None


class Spent(Record):
    category: str
    currency: str
    held_minor: int
    spent_minor: int


class FleetNow(Record):
    steps: dict[str, int]
    runs: dict[str, int]
    lanes: dict[str, Lane]
    workers: dict[str, int]
    gpus: dict[str, HostGpus]
    paused: bool
    approvals_waiting: int
    oldest_approval_s: float
    spent: tuple[Spent, ...]
    #: By worker, of the first ``MOST_HOSTS``; None where no model server answers.
    model_servers: dict[str, ModelServerStats | None]


def read_now(connection: Connection, now: datetime, month: str) -> FleetNow:
    """All of it, in one consistent view. ``month``: the owner's, as ``2026-11``."""
    known = connection.execute(
        select(workers).where(workers.c.state != "removed").order_by(workers.c.name)
    ).all()
    waiting, oldest = connection.execute(PENDING).one()
    return FleetNow(
        steps=_counts(connection, BY_STATE),
        runs=_counts(connection, BY_RUN_STATE),
        lanes=_read_lanes(connection, now),
        workers=dict(Counter(row.state for row in known)),
        gpus=_read_gpus(known),
        paused=bool(fleet_value(connection, "paused")),
        approvals_waiting=waiting,
        oldest_approval_s=_age_s(oldest, now),
        spent=_read_spent(connection, month),
        model_servers={
            row.name: None if row.model_server is None else ModelServerStats.model_validate(row.model_server)
            for row in known[:MOST_HOSTS]
        },
    )


def _counts(connection: Connection, query: Any) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.execute(query)}


def _age_s(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since is not None else 0.0


def _read_lanes(connection: Connection, now: datetime) -> dict[str, Lane]:
    lanes = {lane: Lane() for lane in LANES}
    for row in connection.execute(WAITING):
        best = row.lane or row.lanes.partition(",")[0] or CPU
        # A lane that this build does not know is of an older one.
        lane = best if best in lanes else CPU
        lanes[lane] = Lane(
            waiting=lanes[lane].waiting + row.steps,
            oldest_s=max(lanes[lane].oldest_s, _age_s(row.oldest, now)),
        )
    return lanes


def _read_gpus(known: Any) -> dict[str, HostGpus]:
    """Several workers of one machine see the same GPUs, or one each: a GPU is told by the worker that was
    heard from last."""
    latest: dict[str, Row[Any]] = {}
    for row in sorted(known, key=lambda row: row.seen_at):
        if row.state != "offline":
            latest[row.host] = row
    found: dict[str, HostGpus] = {}
    for host in sorted(latest):
        gpus = Hardware.model_validate(latest[host].hardware).gpus
        told = [gpu.use_pct for gpu in gpus if gpu.use_pct is not None]
        if gpus and len(found) < MOST_HOSTS:
            found[host] = HostGpus(
                memory_mib=sum(gpu.memory_mib for gpu in gpus),
                used_mib=sum(gpu.memory_used_mib for gpu in gpus),
                use=sum(told) / len(told) / 100 if told else None,
            )
    return found


def _read_spent(connection: Connection, month: str) -> tuple[Spent, ...]:
    """By category, the largest first; those that are too many are "other"."""
    use = ledger_budget_use.c
    rows = connection.execute(
        select(use.category, use.currency, use.held_minor, use.spent_minor).where(
            use.month == month, use.category != OVERALL
        )
    ).all()
    largest = sorted(rows, key=lambda row: (-row.spent_minor - row.held_minor, row.category, row.currency))
    kept = {(row.category, row.currency) for row in largest[: MOST_SPENT - 2]}
    totals: dict[tuple[str, str], Spent] = {}
    for row in largest:
        category = row.category if (row.category, row.currency) in kept else OTHER
        so_far = totals.get((category, row.currency))
        totals[category, row.currency] = Spent(
            category=category,
            currency=row.currency,
            held_minor=row.held_minor + (so_far.held_minor if so_far else 0),
            spent_minor=row.spent_minor + (so_far.spent_minor if so_far else 0),
        )
    return tuple(totals.values())[:MOST_SPENT]

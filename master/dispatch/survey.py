"""What there is to place: the steps that are ready, and the workers with their free places."""

from __future__ import annotations

import functools
import json
from collections import Counter
from datetime import datetime

from sqlalchemy import Connection, Text, bindparam, cast, exists, func, or_, select

from master.dispatch.placement import Candidate, Fleet, Host
from master.dispatch.states import OPEN_RUNS, StepState
from master.store.tables import paces, runs, steps, workers
from master.store.types import UtcDateTime, one_of
from tasks.needs import parse_needs
from tasks.protocol import Hardware

#: So many of a run's ready steps are looked at in one go; the next go follows at once.
_WINDOW = 256

# Made once: the survey is repeated for every step that a run waits for, and building these takes longer
# than running them.
_FLEET = select(
    workers.c.name,
    workers.c.state,
    # As texts: most workers are what they were at the last survey, and are not read again.
    cast(workers.c.lanes, Text).label("lanes"),
    workers.c.slots,
    cast(workers.c.hardware, Text).label("hardware"),
    workers.c.local,
).where(workers.c.state != "removed", workers.c.session != "")
_PACES = select(paces)
_READY = steps.c.state == StepState.READY
#: One look into the index per open run; a DISTINCT would read every step that is ready.
_WAITING_RUNS = select(runs.c.id).where(
    one_of(runs.c.state, OPEN_RUNS), exists(select(steps.c.id).where(_READY, steps.c.run_id == runs.c.id))
)
_FIRST_READY = (
    select(
        steps.c.id,
        steps.c.run_id,
        steps.c.priority,
        steps.c.lanes,
        steps.c.task,
        steps.c.needs,
        steps.c.only_worker,
        steps.c.worker,
        steps.c.failures,
    )
    .where(
        _READY,
        steps.c.run_id == bindparam("b_run"),
        or_(steps.c.not_before.is_(None), steps.c.not_before <= bindparam("b_now", type_=UtcDateTime)),
    )
    .order_by(steps.c.priority.desc(), steps.c.id)
    .limit(bindparam("b_most"))
)
_IN_FLIGHT = (
    select(steps.c.state, steps.c.lane, steps.c.worker, steps.c.sent_to, func.count().label("steps"))
    .where(one_of(steps.c.state, (StepState.QUEUED, StepState.RUNNING)))
    .group_by(steps.c.state, steps.c.lane, steps.c.worker, steps.c.sent_to)
)


def survey_fleet(connection: Connection, waiting_per_slot: int) -> Fleet:
    """The workers, and how many more tickets each lane takes."""
    rows = connection.execute(_FLEET).all()
    active = [row for row in rows if row.state == "active"]
    slots: Counter[str] = Counter()
    for row in active:
        for lane in _read_lanes(row.lanes):
            slots[lane] += row.slots
    out, waiting, busy = _count_in_flight(connection)
    free = {lane: count * (1 + waiting_per_slot) - out[lane] for lane, count in slots.items()}
    hosts = [
        Host(
            name=row.name,
            lanes=_read_lanes(row.lanes),
            hardware=read_hardware(row.hardware),
            local=row.local,
            # Tickets that wait in a lane go to whoever is free: nobody is idle while there are some.
            idle=0 if any(waiting[lane] for lane in _read_lanes(row.lanes)) else row.slots - busy[row.name],
            # A worker on trial gets its canary.
            active=row.state in ("active", "joining"),
        )
        for row in rows
    ]
    known = connection.execute(_PACES).all() if len(active) > 1 else []
    if len(active) < len([host for host in hosts if host.active]):
        # A canary takes no place in any lane, but somebody has to look for it.
        free[""] = 1
    return Fleet(free=free, hosts=hosts, paces={(row.task, row.worker): row.seconds for row in known})


@functools.lru_cache(maxsize=256)
def read_hardware(text: str) -> Hardware:
    """From a worker's row."""
    return Hardware.model_validate_json(text)


@functools.lru_cache(maxsize=256)
def _read_lanes(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


def survey_steps(connection: Connection, now: datetime, most: int) -> list[Candidate]:
    """The first ready steps of each open run, by priority."""
    found: list[Candidate] = []
    for run_id in connection.execute(_WAITING_RUNS).scalars().all():
        rows = connection.execute(_FIRST_READY, {"b_run": run_id, "b_now": now, "b_most": min(most, _WINDOW)})
        found += [
            Candidate(
                step_id=row.id,
                run_id=row.run_id,
                priority=row.priority,
                lanes=tuple(row.lanes.split(",")),
                task=row.task,
                needs=parse_needs(row.needs),
                only_worker=row.only_worker,
                avoid=row.worker if row.failures else "",
            )
            for row in rows
        ]
    return found


def _count_in_flight(connection: Connection) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Tickets and running steps by lane; tickets that wait in each lane; what each worker has or is to get."""
    out: Counter[str] = Counter()
    waiting: Counter[str] = Counter()
    busy: Counter[str] = Counter()
    for row in connection.execute(_IN_FLIGHT):
        out[row.lane] += row.steps
        if row.state == StepState.RUNNING:
            busy[row.worker] += row.steps
        elif row.sent_to:
            busy[row.sent_to] += row.steps
        else:
            waiting[row.lane] += row.steps
    return out, waiting, busy

"""How fast each worker is at each task: a moving average over its recorded steps."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import Connection, func, insert, select, update

from master.dispatch.publish import fleet_value, set_fleet_value
from master.store.tables import attempts, outcomes, paces, steps

#: Weight of the newest step.
_WEIGHT = 0.2
_MOST = 2000


def note_paces(connection: Connection) -> int:
    """Take in the steps that ended since the last time. Returns how many; writes nothing when none did."""
    seen = int(fleet_value(connection, "paces_seen") or 0)
    newest = connection.execute(select(func.max(outcomes.c.seq))).scalar() or 0
    if newest <= seen:
        return 0
    rows = connection.execute(
        select(outcomes.c.seq, steps.c.task, attempts.c.worker, attempts.c.claimed_at, attempts.c.ended_at)
        .join(steps, steps.c.id == outcomes.c.step_id)
        .join(
            attempts,
            (attempts.c.step_id == outcomes.c.step_id) & (attempts.c.attempt == outcomes.c.attempt),
        )
        .where(outcomes.c.seq > seen, outcomes.c.state == "done", attempts.c.ended_at.is_not(None))
        .order_by(outcomes.c.seq)
        .limit(_MOST)
    ).all()
    by_pair: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        by_pair[row.task, row.worker].append((row.ended_at - row.claimed_at).total_seconds())
    for (task, worker), durations_s in by_pair.items():
        _take_in(connection, task, worker, durations_s)
    set_fleet_value(connection, "paces_seen", str(rows[-1].seq if len(rows) == _MOST else newest))
    return len(rows)


def _take_in(connection: Connection, task: str, worker: str, durations_s: list[float]) -> None:
    here = (paces.c.task == task) & (paces.c.worker == worker)
    known = connection.execute(select(paces.c.seconds, paces.c.steps).where(here)).first()
    average = known.seconds if known is not None else durations_s[0]
    for seconds in durations_s:
        average += _WEIGHT * (seconds - average)
    if known is None:
        connection.execute(
            insert(paces).values(task=task, worker=worker, seconds=average, steps=len(durations_s))
        )
        return
    connection.execute(
        update(paces).where(here).values(seconds=average, steps=known.steps + len(durations_s))
    )

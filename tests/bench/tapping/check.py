"""What must hold after every kill: counted by SQL."""

from __future__ import annotations

import sys

from sqlalchemy import Connection, inspect, text

from master.store import Database
from tests.bench.tapping.people import People

_COUNTS = {
    "decisions": "SELECT count(*) FROM events WHERE name = 'approval_decided' AND run_id = :run",
    "executions": "SELECT count(*) FROM events WHERE name = 'approval_executed' AND run_id = :run",
    "outcomes": "SELECT count(*) FROM outcomes WHERE run_id = :run",
    "wakes": "SELECT wake - 1 FROM runs WHERE id = :run",
    "reserved": "SELECT count(*) FROM ledger_entries WHERE approval_id = :id AND kind = 'reserve'",
    "posted": "SELECT count(*) FROM ledger_entries WHERE approval_id = :id AND kind = 'settle'",
}


def count_lost(people: People) -> int:
    """Requests that are not what was pressed, or of which a card still shows something else."""
    lost = 0
    shown_old = {approval_id for _, _, _, approval_id, _ in people._outdated()}
    with people.database.read() as connection:
        for approval_id, act in people.acts.items():
            row = connection.execute(
                text("SELECT state, actual_minor, run_id FROM approvals WHERE id = :id"), {"id": approval_id}
            ).one()
            done = act.done_minor is not None
            wanted = ("executed" if done else act.decided or "pending", act.done_minor)
            least = _least(act.decided, done, act.until)
            found = _counts(connection, approval_id, row.run_id)
            missing = [name for name, number in least.items() if found.get(name, number) < number]
            if (row.state, row.actual_minor) != wanted or missing or approval_id in shown_old:
                print(
                    f"lost: {approval_id} {act} is {row.state} {row.actual_minor}, lacks {missing}, "
                    f"old buttons: {approval_id in shown_old}",
                    file=sys.stderr,
                )
                lost += 1
    return lost


def count_doubled(database: Database, people: People) -> int:
    """Requests of which something happened more often than it should."""
    doubled = 0
    with database.read() as connection:
        for approval_id, act in people.acts.items():
            run_id = connection.execute(
                text("SELECT run_id FROM approvals WHERE id = :id"), {"id": approval_id}
            ).scalar_one()
            most = _least(act.decided, act.done_minor is not None, act.until)
            found = _counts(connection, approval_id, run_id)
            if any(found[name] > most[name] for name in found):
                print(f"doubled: {approval_id} {act}: {found}", file=sys.stderr)
                doubled += 1
    return doubled


def _least(decided: str, done: bool, until: str) -> dict[str, int]:
    """How often each thing happens to a request: exactly so often."""
    answered = decided == "rejected" or (decided == "approved" and (until == "decided" or done))
    approved = decided == "approved"
    return {
        "decisions": int(bool(decided)),
        "executions": int(done),
        "outcomes": int(answered),
        "wakes": int(answered),
        "reserved": int(approved),
        "posted": int(done),
    }


def _counts(connection: Connection, approval_id: str, run_id: str) -> dict[str, int]:
    """Postings only where there is a ledger."""
    ledger = inspect(connection).has_table("ledger_entries")
    return {
        name: connection.execute(text(query), {"id": approval_id, "run": run_id}).scalar_one()
        for name, query in _COUNTS.items()
        if ledger or "ledger_" not in query
    }

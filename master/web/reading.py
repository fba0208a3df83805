"""What each page reads, in one consistent view of the database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from master.api.status import show_status
from master.approvals import Approval, ApprovalState, list_approvals
from master.approvals.store import to_approval
from master.approvals.tables import approvals
from master.events import events_after, newest_events
from master.fleet.workers import list_workers
from master.flows.registry import flow_names
from master.flows.runs import list_attempts, list_runs, show_run
from master.settings import Settings
from master.store.tables import artifacts, runs, steps
from master.web.views import IMAGE_TYPES, collapse_events, pick_pictures

#: Rows in one page of the list of runs.
PAGE = 50
_RESULTS = 8
_EVENTS = 14
#: Read for them, since claims are left out and neighbors joined.
_EVENTS_READ = 300
_DECIDED_SHOWN = 100


def read_frame(connection: Connection, settings: Settings, build: str, now: datetime) -> dict[str, Any]:
    """What every page's head shows."""
    newest = newest_events(connection, 1)
    status = show_status(connection, settings, build, now)
    return {"status": status, "seq": newest[0]["seq"] if newest else 0, "now": now}


def read_home(connection: Connection, settings: Settings, build: str, now: datetime) -> dict[str, Any]:
    """The fleet at a glance, what needs the owner first."""
    ended = _last_ended(connection, _RESULTS)
    return {
        **read_frame(connection, settings, build, now),
        "pending": list_approvals(connection, ApprovalState.PENDING),
        "open_runs": [
            *list_runs(connection, state="running", limit=20),
            *list_runs(connection, state="waiting", limit=20),
        ],
        "workers": list_workers(connection),
        "ended": ended,
        "pictures": _pictures(connection, [run["id"] for run in ended]),
        "events": _with_step_keys(connection, collapse_events(newest_events(connection, _EVENTS_READ), _EVENTS)),
    }


def read_runs(
    connection: Connection,
    settings: Settings,
    build: str,
    now: datetime,
    *,
    state: str,
    flow: str,
    before: datetime | None,
) -> dict[str, Any]:
    """One page of runs, newest first."""
    found = list_runs(connection, state=state, flow=flow, limit=PAGE + 1, before=before)
    return {
        **read_frame(connection, settings, build, now),
        "runs": found[:PAGE],
        "older": found[PAGE - 1]["created_at"] if len(found) > PAGE else None,
        "chosen": {"state": state, "flow": flow},
        "flows": flow_names(connection) if False else _flow_names(connection),
    }


def read_run(
    connection: Connection, settings: Settings, build: str, now: datetime, run_id: str
) -> dict[str, Any]:
    """One run with everything that belongs to it."""
    asked = select(approvals).where(approvals.c.run_id == run_id).order_by(approvals.c.created_at)
    return {
        **read_frame(connection, settings, build, now),
        "run": show_run(connection, run_id),
        "attempts": list_attempts(connection, run_id)[-200:],
        "asked": [to_approval(row) for row in connection.execute(asked)],
        "events": _with_step_keys(
            connection, collapse_events(reversed(events_after(connection, 0, run_id=run_id)), 30)
        ),
    }


def read_approvals(connection: Connection, settings: Settings, build: str, now: datetime) -> dict[str, Any]:
    """Pending requests in the order in which they were made, then the decided ones, newest first."""
    everything = list_approvals(connection)
    decided = [each for each in everything if each.state is not ApprovalState.PENDING]
    return {
        **read_frame(connection, settings, build, now),
        "pending": [each for each in everything if each.state is ApprovalState.PENDING],
        "decided": sorted(decided, key=_when_decided, reverse=True)[:_DECIDED_SHOWN],
    }

"""The first page: what needs the owner, what runs, the fleet at a glance, what was found."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select
from starlette.routing import BaseRoute

from master.approvals import ApprovalState, list_approvals, list_to_do
from master.dispatch.states import RunState
from master.events import newest_events
from master.fleet.notices import list_notices
from master.fleet.roster import list_workers
from master.flows.runs import list_runs
from master.store.tables import artifacts
from master.web.door import Door, Reading, Section
from master.web.reading import EVENTS_READ, name_steps
from master.web.views import IMAGE_TYPES, pick_pictures

_RESULTS = 6
_EVENTS = 12


def routes(door: Door) -> list[BaseRoute]:
    return [door.page("/", "home.html", read_home)]


def read_home(reading: Reading) -> dict[str, Any]:
    """The fleet at a glance, what needs the owner first."""
    connection = reading.connection
    ended = _last_ended(connection)
    return {
        "pending": list_approvals(connection, ApprovalState.PENDING),
        "to_do": list_to_do(connection),
        "notices": list_notices(connection),
        "open_runs": [
            *list_runs(connection, state=RunState.RUNNING, limit=20),
            *list_runs(connection, state=RunState.WAITING, limit=20),
        ],
        "workers": list_workers(connection),
        "ended": ended,
        "pictures": _pictures(connection, [run["id"] for run in ended]),
        "events": name_steps(connection, newest_events(connection, EVENTS_READ), _EVENTS),
    }


def _last_ended(connection: Connection) -> list[dict[str, Any]]:
    ended = [
        run
        for state in (RunState.DONE, RunState.FAILED, RunState.CANCELLED)
        for run in list_runs(connection, state=state, limit=_RESULTS)
    ]
    return sorted(ended, key=lambda run: str(run["finished_at"]), reverse=True)[:_RESULTS]


def _pictures(connection: Connection, run_ids: list[str]) -> dict[str, dict[str, Any]]:
    query = select(artifacts).where(
        artifacts.c.run_id.in_(run_ids), artifacts.c.media_type.in_(sorted(IMAGE_TYPES))
    )
    return pick_pictures(row._asdict() for row in connection.execute(query))


SECTION = Section(path="/", name="Home", routes=routes)

"""What each page reads, in one consistent view of the database."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from master.api.status import show_status
from master.approvals import ApprovalState, Policy, list_approvals, list_decided, list_to_do
from master.darwin.view import FLOWS, draw_evolution, show_evolution
from master.dispatch.states import RunState
from master.events import newest_events
from master.fleet.notices import list_notices
from master.fleet.roster import list_workers
from master.flows.runs import list_attempts, list_runs, show_run
from master.settings import Settings
from master.store.artifacts import ArtifactFolder
from master.store.tables import artifacts, events, runs, steps
from master.web.views import IMAGE_TYPES, collapse_events, pick_pictures

#: Rows in one page of the list of runs.
PAGE = 50
_RESULTS = 6
_EVENTS = 12
#: Read for them, since claims are left out and neighbors joined.
_EVENTS_READ = 300
_ATTEMPTS = 200
_DECIDED = 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reader:
    """What every read needs besides its connection."""

    settings: Settings
    build: str
    #: The owner's rules.
    policy: Callable[[], Policy]
    now: datetime

    def frame(self, connection: Connection) -> dict[str, Any]:
        """What every page's head shows."""
        newest = newest_events(connection, 1)
        status = show_status(connection, self.settings, self.build, self.now)
        return {"status": status, "seq": newest[0]["seq"] if newest else 0, "now": self.now}

    def home(self, connection: Connection) -> dict[str, Any]:
        """The fleet at a glance, what needs the owner first."""
        ended = _last_ended(connection)
        return {
            **self.frame(connection),
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
            "events": _events(connection, newest_events(connection, _EVENTS_READ), _EVENTS),
        }

    def runs(
        self, connection: Connection, *, state: str, flow: str, before: datetime | None
    ) -> dict[str, Any]:
        """One page of runs, newest first."""
        found = list_runs(connection, state=state, flow=flow, limit=PAGE + 1, before=before)
        flows = connection.execute(select(runs.c.flow).distinct().order_by(runs.c.flow)).scalars()
        return {
            **self.frame(connection),
            "runs": found[:PAGE],
            "older": found[PAGE - 1]["created_at"] if len(found) > PAGE else None,
            "chosen_state": state,
            "chosen_flow": flow,
            "states": [str(each) for each in RunState],
            "flows": list(flows),
        }

    def run(self, connection: Connection, run_id: str) -> dict[str, Any]:
        """One run with everything that belongs to it. ``NotFound``: there is none."""
        of_run = select(events).where(events.c.run_id == run_id).order_by(events.c.seq.desc())
        newest = [row._asdict() for row in connection.execute(of_run.limit(_EVENTS_READ))]
        shown = show_run(connection, run_id)
        return {
            **self.frame(connection),
            "run": shown,
            "evolution": self._evolution(connection, run_id) if shown["flow"] in FLOWS else None,
            "attempts": list_attempts(connection, run_id)[-_ATTEMPTS:],
            "asked": list_approvals(connection, run_id=run_id),
            "events": _events(connection, newest, 2 * _EVENTS),
        }

    def _evolution(self, connection: Connection, run_id: str) -> dict[str, Any]:
        read_artifact = ArtifactFolder(self.settings.artifact_folder).read
        shown = show_evolution(connection, run_id, read_artifact, now=self.now)
        return {**shown, "pictures": draw_evolution(connection, shown)}

    def approvals(self, connection: Connection) -> dict[str, Any]:
        """Pending requests in the order in which they were made, what is approved and to be done, then the
        decided ones, newest first."""
        return {
            **self.frame(connection),
            "pending": list_approvals(connection, ApprovalState.PENDING),
            "decided": [each for each in list_decided(connection, _DECIDED) if not each.awaits_execution],
            "to_do": list_to_do(connection),
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


def _events(connection: Connection, newest: Iterable[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """Joined for reading, each with the key of its step ("" without one)."""
    rows = collapse_events(newest, most)
    ids = {row["step_id"] for row in rows if row["step_id"] is not None}
    found = connection.execute(select(steps.c.id, steps.c.key).where(steps.c.id.in_(ids)))
    keys = {row.id: row.key for row in found}
    return [{**row, "step": keys.get(row["step_id"], "")} for row in rows]
